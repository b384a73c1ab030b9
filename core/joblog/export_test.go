package joblog

// SmallCheckpoints has checkpoints written of logs as small as those of tests.
func (s *Store) SmallCheckpoints(first, every int64) {
	s.checkpointFirst, s.checkpointEvery = first, every
}
