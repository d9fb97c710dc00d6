package commands

import (
	"math"
	"math/big"

	"github.com/raftkv/raftkv/resp"
)

// checkTimeout checks the timeout of a blocking command: seconds, of which Redis makes
// milliseconds, rounded up, as a 64-bit integer. What does not fit that becomes a
// negative one. Source: redis/src/timeout.c:getTimeoutFromObjectOrReply.
func checkTimeout(arg []byte) error {
	d, err := parseLongDouble(string(arg))
	switch {
	case err != nil:
		return resp.ErrTimeoutFloat
	case d.inf:
		return resp.ErrTimeoutBelow0
	case d.f == nil:
		return nil
	}
	ms := new(big.Float).SetPrec(ldPrecision).Mul(d.f, big.NewFloat(1000))
	most := new(big.Float).SetInt64(math.MaxInt64)
	if ms.Cmp(big.NewFloat(-1)) <= 0 || ms.Cmp(most) > 0 {
		return resp.ErrTimeoutBelow0
	}
	return nil
}
