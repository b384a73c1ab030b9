package template

import (
	"context"
	"errors"
	"fmt"
)

// budget is what one call may still use up. It is shared by all strings of one RenderValue.
type budget struct {
	ctx        context.Context //nolint:containedctx // a budget lives as long as the call that ctx belongs to
	work       int
	iterations int
	output     int // bytes of the strings that are done
	vals       int
	err        error // the first limit that was passed; pongo2 ignores what a writer returns
}

var errWork = errors.New("the template takes too much work; make it simpler, or compute this in a step")

// spend accounts for one operation on size bytes.
func (b *budget) spend(size int) error {
	if b.err != nil {
		return b.err
	}
	before := b.work
	b.work += 1 + size/16
	if b.work > maxWork {
		b.err = errWork
	} else if before>>10 != b.work>>10 {
		b.err = b.ctx.Err()
	}
	return b.err
}

// loop accounts for the rounds of a loop before it starts.
func (b *budget) loop(rounds int) error {
	if b.iterations += rounds; b.iterations > MaxIterations {
		b.err = fmt.Errorf("the loops of this template go around more than %d times", MaxIterations)
	}
	return b.err
}

// fits tells whether a string of size bytes may be made.
func (b *budget) fits(size int) error {
	if b.err == nil && size > MaxOutput-b.output {
		b.err = fmt.Errorf("the template makes a text of more than %d bytes", MaxOutput)
	}
	return b.err
}

// output collects rendered text within its budget.
type output struct {
	budget *budget
	text   []byte
}

func (o *output) Write(p []byte) (int, error) {
	if err := o.budget.spend(len(p)); err != nil {
		return 0, err
	}
	if err := o.budget.fits(len(o.text) + len(p)); err != nil {
		return 0, err
	}
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) WriteString(s string) (int, error) { return o.Write([]byte(s)) }
