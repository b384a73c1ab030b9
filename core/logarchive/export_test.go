package logarchive

// SetMemberSize has what is archived from now on have members of so many bytes of lines.
func (a *Archive) SetMemberSize(n int64) { a.size = n }
