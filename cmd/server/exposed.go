package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// warnOfReaders says which files with secrets, or with data, every user of this machine may
// read or change. The node makes none like that: somebody put it there, or back from a
// backup. It is no reason not to start, and a group's rights are taken as meant.
func (p *process) warnOfReaders() {
	if runtime.GOOS == "windows" {
		return // its modes say nothing of who may read
	}
	var open []string
	for _, path := range p.secretFiles() {
		if info, err := os.Stat(path); err == nil && forOthers(info) {
			open = append(open, path)
		}
	}
	// Below a directory that lets nobody in, modes do not matter.
	if info, err := os.Stat(p.cfg.DataDir); err == nil && forOthers(info) {
		open = append(open, p.cfg.DataDir)
		_ = filepath.WalkDir(p.cfg.DataDir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == p.cfg.DataDir {
				return nil // a file that is gone meanwhile is nobody's to read
			}
			if info, err := d.Info(); err == nil && forOthers(info) {
				open = append(open, path)
			}
			return nil
		})
	}
	if len(open) > 0 {
		p.log.Warn("every user of this machine may read or change files that are secret; chmod o-rwx them", "files", strings.Join(open, " "))
	}
}

// secretFiles are those with secrets that the configuration names.
func (p *process) secretFiles() (paths []string) {
	if p.cfg.SecretsInFile {
		paths = append(paths, p.cfg.ConfigFile)
	}
	clients, _ := p.cfg.ClientFiles()
	nodes, _ := p.cfg.RaftFiles()
	for _, key := range []string{clients.Key, nodes.Key} {
		if key != "" && !slices.Contains(paths, key) {
			paths = append(paths, key)
		}
	}
	return paths
}

// forOthers says whether users who are neither owner nor of the group have any rights.
func forOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o007 != 0 }
