package main

import "github.com/plaincover/plaincover/internal/policy"

// Problems of the configuration read like problems of the policies.
type (
	problem  = policy.Problem
	problems = policy.Problems
)

// The codes of problems with gateway.yaml and with what it names. A file that is not YAML has
// those of the policies.
const (
	codeNoConfig     policy.Code = "G001" // the file is not there, or cannot be read
	codeKey          policy.Code = "G002" // an unknown key, or one that stands twice
	codeForm         policy.Code = "G003" // a value of the wrong form
	codeLater        policy.Code = "G004" // this version does not have it
	codeEnvironment  policy.Code = "G005"
	codeHostname     policy.Code = "G010"
	codePath         policy.Code = "G011"
	codeCertificate  policy.Code = "G012"
	codeListen       policy.Code = "G013"
	codeLimit        policy.Code = "G014"
	codeLog          policy.Code = "G015"
	codeSmarthost    policy.Code = "G016" // its URL
	codeSmarthostTLS policy.Code = "G017"
	codeSmarthostKey policy.Code = "G018" // user name and password
	codeRegion       policy.Code = "G019"
	codeNoPolicies   policy.Code = "G020"
	codeHTTP         policy.Code = "G021"
)

// Warnings about policies that only a run of their tests shows.
const (
	codeUnreached policy.Code = "P178" // rules that no test reaches
	codeTestsFail policy.Code = "P179"
)
