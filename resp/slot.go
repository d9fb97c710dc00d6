package resp

// Slots is the number of hash slots of a Redis cluster.
const Slots = 16384

// Slot returns the hash slot of a key, 0 to 16383: CRC16 (XMODEM) of the key, or
// of what stands between the first "{" and the next "}" if that is not empty.
// Source: the Redis cluster specification, "Key distribution model".
func Slot[T ~string | ~[]byte](key T) int {
	start, end := 0, len(key)
	for i := 0; i < len(key); i++ {
		if key[i] != '{' {
			continue
		}
		for j := i + 1; j < len(key); j++ {
			if key[j] == '}' {
				if j > i+1 {
					start, end = i+1, j
				}
				break
			}
		}
		break
	}
	var crc uint16
	for i := start; i < end; i++ {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return int(crc % Slots)
}

// crcTable is the CRC16 table of the polynomial 0x1021.
var crcTable = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[i] = crc
	}
	return t
}()
