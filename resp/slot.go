package resp

// Slots is the number of hash slots of a Redis cluster.
const Slots = 16384

// Slot returns the hash slot of a key, 0 to 16383: CRC16 (XMODEM) of the key, or
// of what stands between the first "{" and the next "}" if that is not empty.
// Source: the Redis cluster specification, "Key distribution model".
func Slot[T ~string | ~[]byte](key T) int {
	for i := 0; i < len(key); i++ {
		if key[i] != '{' {
			continue
		}
		for j := i + 1; j < len(key); j++ {
			if key[j] == '}' {
				if j > i+1 {
					key = key[i+1 : j]
				}
				break
			}
		}
		break
	}
	return int(crc16(key) % Slots)
}

// crc16 takes eight bytes at a time, since one at a time each step waits for the one
// before, and every command of a client needs the slot of its key.
func crc16[T ~string | ~[]byte](data T) (crc uint16) {
	i := 0
	for ; i+8 <= len(data); i += 8 {
		b := data[i : i+8]
		crc = crcTables[7][byte(crc>>8)^b[0]] ^ crcTables[6][byte(crc)^b[1]] ^
			crcTables[5][b[2]] ^ crcTables[4][b[3]] ^ crcTables[3][b[4]] ^
			crcTables[2][b[5]] ^ crcTables[1][b[6]] ^ crcTables[0][b[7]]
	}
	for ; i < len(data); i++ {
		crc = crc<<8 ^ crcTables[0][byte(crc>>8)^data[i]]
	}
	return crc
}

// crcTables are those of the polynomial 0x1021: the n-th is for a byte that n others
// follow.
var crcTables = func() (t [8][256]uint16) {
	for i := range t[0] {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[0][i] = crc
	}
	for n := 1; n < len(t); n++ {
		for i, crc := range t[n-1] {
			t[n][i] = crc<<8 ^ t[0][crc>>8]
		}
	}
	return t
}()
