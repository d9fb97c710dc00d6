// Package check judges what clients saw of a cluster under faults. A harness records
// each operation in a History; Check then looks for an order of the operations of each
// key that a single correct server could have shown (porcupine, one model per workload)
// and for cycles among multi-key transactions (a list-append checker of our own);
// Audit compares the acknowledged writes with what the nodes hold at the end; Timeline
// draws the run. It knows no socket, no node and no fault: only what was recorded.
package check
