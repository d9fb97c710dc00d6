package main

import (
	"fmt"
	"os"

	"github.com/raftkv/raftkv/server/config"
)

func main() {
	c, done, err := config.Parse(os.Args[1:], os.LookupEnv, os.Stdout)
	fmt.Println(c, done, err)
}
