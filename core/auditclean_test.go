package core_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

// unprintable cannot be made a text.
type unprintable struct{}

func (unprintable) MarshalText() ([]byte, error) { return nil, errors.New("no\ntext") }

func TestAuditEntriesAreCleaned(t *testing.T) {
	t.Parallel()
	given := map[string]any{
		"text": "a\nb", "named": core.RoleAdmin, "n": 7, "big": uint64(math.MaxUint64), "f": 1.5, "yes": true, "none": nil,
		"list": []string{"a", "b\x00"}, "nan": math.NaN(), "deep": map[string]any{"password": "hunter22"}, "bad": unprintable{},
		"id": uuid.Nil, "at": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "k\x1bey": "v",
	}
	clean := core.AuditEntry{
		Actor: core.Actor{Type: core.ActorUser, Name: "ada\r\n@example.com"}, Action: "job.execute", Target: "a\x00b\x1b[31m\u202e\u2028\xff\u0085ø",
		Result: core.AuditOK, RemoteAddress: "::1\t", RequestID: "r\x7f", Details: given,
	}.Clean()
	require.Equal(t, core.AuditEntry{
		Actor: core.Actor{Type: core.ActorUser, Name: "ada��@example.com"}, Action: "job.execute", Target: "a�b�[31m����ø", Result: core.AuditOK,
		RemoteAddress: "::1�", RequestID: "r�", Details: map[string]any{
			"text": "a�b", "named": "admin", "n": 7, "big": uint64(math.MaxUint64), "f": 1.5, "yes": true, "none": nil,
			"list": "a, b�", "nan": "not recorded: float64", "deep": "not recorded: map[string]interface {}", "bad": "cannot be recorded: no�text",
			"id": uuid.Nil.String(), "at": "2026-01-02T03:04:05Z", "k�ey": "v",
		},
	}, clean)
	require.Equal(t, "a\nb", given["text"], "what the caller has stays as it is")
	require.Equal(t, map[string]any{}, core.AuditEntry{}.Clean().Details)
}

func TestAuditEntriesAreBounded(t *testing.T) {
	t.Parallel()
	for _, long := range []string{
		strings.Repeat("x", 1<<20), strings.Repeat("ø", 1<<20), "x" + strings.Repeat("ø", 1<<20), strings.Repeat("\x00", 1<<20),
		strings.Repeat("\xff", 1<<20), strings.Repeat("\U0001F600", 1<<18),
	} {
		details := map[string]any{}
		for i := range 30 {
			details[strings.Repeat("k", i)+long[:1<<12]] = long
		}
		e := core.AuditEntry{
			Actor: core.Actor{Type: core.ActorType(long), Name: long}, Action: long, Target: long, Result: long, RemoteAddress: long,
			RequestID: long, Details: details,
		}.Clean()
		require.LessOrEqual(t, len(e.Details), 20)
		document, err := json.Marshal(e)
		require.NoError(t, err)
		require.Less(t, len(document), 100_000)
		require.True(t, utf8.ValidString(e.Target))
		if utf8.ValidString(long) {
			require.Greater(t, len(e.Target), 990, "what fits is kept")
		}
	}
}

// FuzzAuditClean cleans any text to one that can be stored, and that cannot forge a line.
func FuzzAuditClean(f *testing.F) {
	for _, seed := range []string{"", "plain", "a\nb", "\xff\xfe", "\u202eabc", strings.Repeat("ø", 600), "x" + strings.Repeat("ø", 600)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := core.AuditEntry{Target: text}.Clean().Target
		require.True(t, utf8.ValidString(once))
		require.False(t, strings.ContainsFunc(once, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x202e }))
		if len(text) <= 1000 && utf8.ValidString(text) {
			require.Equal(t, utf8.RuneCountInString(text), utf8.RuneCountInString(once))
		}
	})
}
