package plugintest

import "fmt"

// Rule is one thing that plugins have to heed. Failures name the rule that was broken.
type Rule struct {
	ID   string `json:"id"`   // "runner/exit-code"
	Text string `json:"text"` // one sentence
}

// under returns t with failures that name the rule.
func under(t TB, rule Rule) TB {
	if r, ok := t.(ruled); ok {
		t = r.TB
	}
	return ruled{t, rule}
}

// ruled is a TB that puts a rule to each failure.
type ruled struct {
	TB
	rule Rule
}

// ruleKeeper is a TB that keeps rule and message apart.
type ruleKeeper interface {
	broken(rule Rule, message string)
}

func (r ruled) Errorf(format string, args ...any) {
	r.Helper()
	message := fmt.Sprintf(format, args...)
	if keeper, ok := r.TB.(ruleKeeper); ok {
		keeper.broken(r.rule, message)
		return
	}
	r.TB.Errorf("%s: %s\n\tthe rule: %s", r.rule.ID, message, r.rule.Text)
}

func (r ruled) Fatalf(format string, args ...any) {
	r.Helper()
	r.Errorf(format, args...)
	r.FailNow()
}
