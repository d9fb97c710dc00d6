package resp

import (
	"bytes"
	"testing"
)

// TestSlot has the check value of CRC16/XMODEM and what the real Redis answers to
// CLUSTER KEYSLOT.
func TestSlot(t *testing.T) {
	for _, tt := range []struct {
		key  string
		slot int
	}{
		{"123456789", 0x31c3}, {"", 0}, {"foo", 12182}, {"bar", 5061}, {"key:000000000001", 8924},
		{"{user1000}.following", 3443}, {"user1000", 3443}, {"foo{}{bar}", 8363}, {"foo{{bar}}zap", 4015}, {"{bar", 4015},
		{"foo{bar}{zap}", 5061}, {"{foo}.bar", 12182}, {"x{foo}", 12182}, {"{}foo", 9500}, {"{", 4092}, {"}{", 12793},
	} {
		if got := Slot(tt.key); got != tt.slot {
			t.Errorf("Slot(%q) = %d, want %d", tt.key, got, tt.slot)
		}
		if got := Slot([]byte(tt.key)); got != tt.slot {
			t.Errorf("Slot of the bytes of %q = %d, want %d", tt.key, got, tt.slot)
		}
	}
}

// TestCRC16 compares with the definition, a bit at a time, for every length around
// the steps of eight bytes.
func TestCRC16(t *testing.T) {
	data := bytes.Repeat([]byte("a\x00\xffz\x80{1}\x07"), 5)
	for n := range len(data) {
		var want uint16
		for _, b := range data[:n] {
			want ^= uint16(b) << 8
			for range 8 {
				carry := want & 0x8000
				if want <<= 1; carry != 0 {
					want ^= 0x1021
				}
			}
		}
		if got := crc16(data[:n]); got != want {
			t.Errorf("CRC16 of %d bytes = %#x, want %#x", n, got, want)
		}
	}
}

func BenchmarkSlot(b *testing.B) {
	key := []byte("key:000000000001")
	for b.Loop() {
		Slot(key)
	}
}
