package config

// Limits says how often somebody may ask for something.
type Limits struct {
	LoginPerMinute   int `yaml:"login_per_minute"`   // failed ones, for an account from one address
	WebhookPerMinute int `yaml:"webhook_per_minute"` // to one webhook from one address; 0: any number
}

// mostPerMinute is beyond what a server answers.
const mostPerMinute = 1_000_000

func (l *Limits) setDefaults() { *l = Limits{LoginPerMinute: 10, WebhookPerMinute: 600} }

func (l *Limits) validate(p *problems) {
	p.min("limits.login_per_minute", l.LoginPerMinute, 1)
	p.min("limits.webhook_per_minute", l.WebhookPerMinute, 0)
	p.max("limits.login_per_minute", l.LoginPerMinute, mostPerMinute)
	p.max("limits.webhook_per_minute", l.WebhookPerMinute, mostPerMinute)
}
