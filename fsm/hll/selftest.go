package hll

import (
	"encoding/binary"
	"fmt"
	"math"
)

// SelfTest checks that registers keep what they are given, that the sparse and the dense
// form stand for the same, and that estimates are as good as they should be, up to
// 10,000 elements, where the sparse one has long become dense: a millisecond.
func SelfTest() error {
	row := make([]byte, registers*6/8)
	for i := range registers {
		rank := uint8(i*37%63 + 1)
		if !setDense(row, i, rank) || setDense(row, i, rank) || getDense(row, i) != rank {
			return fmt.Errorf("register %d does not keep %d", i, rank)
		}
	}
	for i := range registers {
		if got := getDense(row, i); got != uint8(i*37%63+1) {
			return fmt.Errorf("register %d has become %d", i, got)
		}
	}
	return testEstimates(10_000)
}

func testEstimates(most int) error {
	narrow := New()
	wide, err := ToDense(New())
	if err != nil {
		return err
	}
	for i, check := 1, 1; i <= most; i++ {
		element := binary.LittleEndian.AppendUint64(nil, uint64(i)*0x9e3779b97f4a7c15)
		if narrow, _, err = Add(narrow, element, 3000); err != nil {
			return err
		}
		if wide, _, err = Add(wide, element, 0); err != nil {
			return err
		}
		if i != check {
			continue
		}
		check *= 10
		a, errA := Count(narrow)
		b, errB := Count(wide)
		if errA != nil || errB != nil || a != b {
			return fmt.Errorf("sparse %d, dense %d (%v, %v)", a, b, errA, errB)
		}
		within := math.Ceil(1.04 / math.Sqrt(registers) * 6 * float64(i)) // six standard errors
		if math.Abs(float64(a)-float64(i)) > within {
			return fmt.Errorf("%d elements are estimated as %d", i, a)
		}
	}
	return nil
}
