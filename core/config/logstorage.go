package config

import "strings"

// LogStorage says where the logs of jobs are kept.
type LogStorage struct {
	LocalDir     string `yaml:"local_dir"`      // default <data_dir>/logs
	MaxStepBytes Bytes  `yaml:"max_step_bytes"` // output of one step beyond this is dropped
	S3           *S3    `yaml:"s3"`             // nil: no archive, unless there is a Plugin
	Plugin       string `yaml:"plugin"`         // the log store that is the archive, in place of S3: acme.store
	// MaxLocalBytes is how much logs may take in LocalDir before archived ones are removed there; 0: any.
	MaxLocalBytes Bytes `yaml:"max_local_bytes"`
}

// S3 is the bucket that logs of finished jobs go to. Credentials come from the standard AWS chain.
type S3 struct {
	Bucket       string `yaml:"bucket" config:"required"`
	Region       string `yaml:"region" config:"required"`
	Prefix       string `yaml:"prefix"`        // used as it is, so with its own slash
	Endpoint     string `yaml:"endpoint"`      // another service than AWS; implies path-style addresses
	CAPath       string `yaml:"ca_path"`       // PEM file of what vouches for the endpoint, besides what the system trusts
	SSE          string `yaml:"sse"`           // how the bucket's service encrypts: AES256, aws:kms, aws:kms:dsse; "": as the bucket says
	KMSKeyID     string `yaml:"kms_key_id"`    // for aws:kms and aws:kms:dsse; "": the account's own key
	StorageClass string `yaml:"storage_class"` // "": STANDARD
}

// s3Plugin is the plugin that [S3] is for.
const s3Plugin = "s3"

// Archive is the name of the log store plugin that logs of finished jobs go to; "" if they stay where they are.
func (l *LogStorage) Archive() string {
	if l.S3 != nil {
		return s3Plugin
	}
	return l.Plugin
}

// Settings are the section as the configuration of the plugin.
func (s *S3) Settings() Settings {
	settings := Settings{}
	for name, value := range map[string]string{
		"bucket": s.Bucket, "region": s.Region, "prefix": s.Prefix, "endpoint": s.Endpoint, "ca_path": s.CAPath,
		"sse": s.SSE, "kms_key_id": s.KMSKeyID, "storage_class": s.StorageClass,
	} {
		if value != "" {
			settings[name] = value
		}
	}
	return settings
}

func (l *LogStorage) validate(p *problems, plugins *Plugins) {
	p.min("log_storage.max_step_bytes", int(l.MaxStepBytes), 1<<16)
	p.min("log_storage.max_local_bytes", int(l.MaxLocalBytes), 0)
	if l.MaxLocalBytes > 0 && l.Archive() == "" {
		p.add("log_storage.max_local_bytes", "only what is archived is removed; add log_storage.s3 or log_storage.plugin")
	}
	if l.S3 != nil {
		l.S3.validate(p)
		if l.Plugin != "" {
			p.add("log_storage.plugin", "log_storage.s3 is an archive as well; keep one of them")
		}
		if plugins.Entries["logstore-"+s3Plugin].Config != nil {
			p.add("plugins.logstore-"+s3Plugin+".config", "log_storage.s3 configures this plugin as well; keep one of them, "+
				"and without that section set log_storage.plugin: "+s3Plugin)
		}
	} else if l.Plugin != "" && !pluginName.MatchString("logstore-"+l.Plugin) {
		p.add("log_storage.plugin", "%q is not the name of a log store: of the file logstore-acme.store it is acme.store", l.Plugin)
		return
	}
	if name := l.Archive(); name != "" && plugins.Entries["logstore-"+name].Disabled {
		p.add("plugins.logstore-"+name+".disabled", "log_storage asks for this plugin; remove one of the two")
	}
}

func (s *S3) validate(p *problems) {
	const key = "log_storage.s3."
	p.url(key+"endpoint", s.Endpoint)
	p.oneOf(key+"sse", s.SSE, "AES256", "aws:kms", "aws:kms:dsse")
	if s.KMSKeyID != "" && !strings.HasPrefix(s.SSE, "aws:kms") {
		p.add(key+"kms_key_id", "is for sse: aws:kms and aws:kms:dsse")
	}
}
