package check

// OpsPerKey says after how many operations clients should go on with a fresh key, so
// that each key gets its verdict well within 10 s. Checking is exponential in the
// operations that overlap and in those that stay unknown, so what counts is how many
// clients use one key at a time and what share of their operations ends unknown (0.05
// is 5 %). The figures are measured, with clients that hardly pause between
// operations: ten unknown operations on a key take up to half a second, fifteen may
// take more than five.
func OpsPerKey(clients int, unknown float64) int {
	n := 400
	switch {
	case clients > 16:
		n = 40
	case clients > 8:
		n = 60
	case clients > 4:
		n = 300
	}
	if unknown > 0 {
		n = min(n, int(10/unknown))
	}
	return max(n, 40)
}
