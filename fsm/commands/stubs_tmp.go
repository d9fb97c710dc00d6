package commands

func stringCommands() []Command  { return nil }
func genericCommands() []Command { return nil }
func serverCommands() []Command  { return nil }
