package gateway

import "github.com/plaincover/plaincover/internal/mail"

// Receipt is the answer to an accepted submission. Text is what stands after "250 2.0.0 ".
type Receipt struct {
	ID   mail.ID
	Text string
}
