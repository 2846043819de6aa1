package mail
type ID string
type Address struct{ LocalPart, Domain string }
func getField(f []Field, n string) (string, bool) { return "", false }
