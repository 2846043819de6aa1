package httpd

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// conns bounds the connections. When there are too many, the one that has gone longest without
// a whole request is cut: whoever opens thousands and never finishes a header cuts their own,
// and somebody who just asks is served (F15).
type conns struct {
	most int

	mu      sync.Mutex
	waiting *list.List                 // of net.Conn without a request, oldest first
	all     map[net.Conn]*list.Element // nil: a request is in work
}

func newConns(most int) *conns {
	return &conns{most: most, waiting: list.New(), all: map[net.Conn]*list.Element{}}
}

// state is the server's hook. New comes before the next connection is accepted; Active comes
// when a request's header has been read to its end.
func (c *conns) state(conn net.Conn, st http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch st {
	case http.StateNew:
		if len(c.all) >= c.most {
			oldest := c.waiting.Front()
			if oldest == nil {
				cut(conn) // all others are being served
				return
			}
			c.forget(oldest.Value.(net.Conn))
			cut(oldest.Value.(net.Conn))
		}
		c.all[conn] = c.waiting.PushBack(conn)
	case http.StateActive:
		c.leave(conn)
	case http.StateIdle:
		c.leave(conn)
		if _, known := c.all[conn]; known {
			c.all[conn] = c.waiting.PushBack(conn)
		}
	case http.StateClosed, http.StateHijacked:
		c.forget(conn)
	}
}

// leave takes a connection off the waiting ones.
func (c *conns) leave(conn net.Conn) {
	if e := c.all[conn]; e != nil {
		c.waiting.Remove(e)
		c.all[conn] = nil
	}
}

func (c *conns) forget(conn net.Conn) {
	c.leave(conn)
	delete(c.all, conn)
}

// cut closes a connection at once: TLS would first say goodbye, and wait for room to say it.
func cut(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	conn.Close()
}
