package gateway

// A place in the queue is the one thing that a client is told and that was in
// no log: it is no part of the conversation, changes with what others do, and
// may be lost. The next one says all there is to know.

// ahead returns how many conversations are about to be answered before this
// one, nil if it does not wait.
func (s *Server) ahead(conv string) *int {
	if n, ok := s.Runner.Places()[conv]; ok {
		return &n
	}
	return nil
}

// showPlaces tells a client what is new of the places of the conversations
// that it follows. It is called once a second, and costs nothing while nobody
// waits.
func (c *conn) showPlaces(places map[string]int) {
	if len(places) == 0 && !c.placed {
		return
	}
	c.placed = false
	var frames [][]byte
	c.mu.Lock()
	for _, fo := range c.follows {
		ahead, waits := places[fo.c]
		if !waits || !fo.open {
			fo.place = 0
			continue
		}
		c.placed = true
		if fo.place != ahead+1 {
			fo.place = ahead + 1
			frames = append(frames, encode(ephemeral{Type: frameEph, C: fo.c, Kind: "queue", Data: queuePlace{ahead}}))
		}
	}
	c.mu.Unlock()
	for _, f := range frames {
		c.send(f)
	}
}
