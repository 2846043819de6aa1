package main

import "github.com/plaincover/plaincover/internal/policy"

// Problems of the configuration read like problems of the policies.
type (
	problem  = policy.Problem
	problems = policy.Problems
)
