package load

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"
)

// Feed sends commands to a database of a server, in pipelines over one connection. None
// may be answered with an array; an error reply ends it.
func Feed(ctx context.Context, addr string, db int, commands iter.Seq[[]string]) error {
	c, err := Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	queued := 0
	flush := func() error {
		err := errors.Join(ctx.Err(), c.Deadline(time.Now().Add(replyLimit)), c.Flush())
		for ; queued > 0 && err == nil; queued-- {
			err = c.Skip()
		}
		return err
	}
	c.Queue([]byte("SELECT"), []byte(strconv.Itoa(db)))
	queued++
	for command := range commands {
		words := make([][]byte, len(command))
		for i, word := range command {
			words[i] = []byte(word)
		}
		c.Queue(words...)
		if queued++; len(c.out) >= feedSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// feedSize is about how many bytes are on their way at once: less than sockets hold, since
// replies are read only after all was sent.
const feedSize = 256 << 10
