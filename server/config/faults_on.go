//go:build faults

package config

// faultVariables says that RAFTKV_FAULT and those that begin so are read elsewhere.
const faultVariables = true
