package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/pluginapi"
)

// current is what a restarted server knows about a workspace before its source answers.
type current struct {
	Source   string             `json:"source"` // hash of where it came from: another source is another workspace
	Revision pluginapi.Revision `json:"revision"`
	Digest   string             `json:"digest"` // of the revision's files
}

func (s Source) hash() string {
	sum := sha256.Sum256(append([]byte(s.Type+"\x00"), s.Settings...))
	return hex.EncodeToString(sum[:])
}

// remember writes down which revision is in use.
func (m *Manager) remember(e *entry, revision pluginapi.Revision, files stored) error {
	content, err := json.Marshal(current{Source: e.source.hash(), Revision: revision, Digest: files.digest})
	if err != nil {
		return fmt.Errorf("encode revision: %w", err)
	}
	return place(filepath.Join(m.config.Dir, e.name, currentFile), currentDraft, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// restore brings the revision into use that was remembered, if it is still good. Whatever is wrong with it is no news:
// the source is asked next. What a Refresh brought meanwhile is newer and stays.
func (m *Manager) restore(ctx context.Context, e *entry) {
	if e.refreshing.take(ctx) != nil {
		return
	}
	defer e.refreshing.give()
	if e.loaded() {
		return
	}
	content, err := os.ReadFile(filepath.Join(m.config.Dir, e.name, currentFile))
	if err != nil {
		return
	}
	var c current
	if json.Unmarshal(content, &c) != nil || c.Source != e.source.hash() {
		return
	}
	files, ok := parseStored(stored{c.Revision.ID, c.Digest}.String())
	if !ok || !m.has(e, files) {
		return
	}
	workspace, diagnostics := m.read(e, files)
	if workspace == nil || diagnostics.Err() != nil {
		return
	}
	e.learn(files)
	e.use(c.Revision, workspace, Status{Diagnostics: diagnostics})
	e.isNews(outcome(files, nil)) // it was told when it was loaded first
	m.config.Logger.InfoContext(ctx, "workspace loaded from before", "workspace", e.name, "revision", short(c.Revision.ID))
	m.announce()
}

// place writes a file beside its place and then puts it there, so that it is never seen half written.
func place(name, draft string, write func(f *os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), draft)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync() // or a power failure leaves the name without the content
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
