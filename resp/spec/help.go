package spec

import "strings"

// helpWidth is where a summary's line breaks, its four spaces not counted.
const helpWidth = 76

// WriteHelp writes the reply of a container's HELP subcommand: an array of
// simple strings in Redis's form, a usage line and an indented summary for each
// subcommand, in the order of declaration. Source: redis/src/networking.c:addReplyHelp.
func WriteHelp(w Reply, c *Command) {
	lines := HelpLines(c)
	w.Array(len(lines))
	for _, line := range lines {
		w.Simple(line)
	}
}

// HelpLines returns the lines that WriteHelp writes.
func HelpLines(c *Command) []string {
	lines := []string{strings.ToUpper(c.Name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for i := range c.Subcommands {
		sub := &c.Subcommands[i]
		if strings.EqualFold(sub.Name, "HELP") {
			continue // comes last, with Redis's own words
		}
		lines = append(lines, helpUsage(sub))
		for _, line := range wrap(sub.Summary, helpWidth) {
			lines = append(lines, "    "+line)
		}
	}
	return append(lines, "HELP", "    Prints this help.")
}

// helpUsage is a subcommand's name and syntax with <> around the names of
// values, as Redis's help texts have it.
func helpUsage(c *Command) string {
	usage := strings.ToUpper(c.Name)
	args, _ := ParseSyntax(c.Syntax)
	for _, a := range args {
		usage += " " + a.usage()
	}
	return usage
}

// usage renders an argument for a help text: values in <>, choices in () unless
// a square bracket holds them.
func (a *Argument) usage() string {
	text := a.usageInner()
	if a.Multiple {
		text += " [" + text + " ...]"
	}
	if a.Token != "" && a.Type != PureToken {
		text = a.Token + " " + text
	}
	if a.Optional {
		return "[" + text + "]"
	}
	return text
}

func (a *Argument) usageInner() string {
	switch a.Type {
	case PureToken:
		return a.Token
	case Block, OneOf:
		sep := " "
		if a.Type == OneOf {
			sep = "|"
		}
		parts := make([]string, len(a.Arguments))
		for i := range a.Arguments {
			parts[i] = a.Arguments[i].usage()
		}
		text := strings.Join(parts, sep)
		if a.Type == OneOf && (!a.Optional || a.Token != "" || a.Multiple) {
			text = "(" + text + ")"
		}
		return text
	}
	return "<" + a.Name + ">"
}

// wrap breaks text into lines of at most width bytes, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
