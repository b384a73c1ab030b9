package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// RecordDelivery stores a delivery that started no job.
func (s *Store) RecordDelivery(ctx context.Context, d core.Delivery) error {
	batch := &pgx.Batch{}
	if err := queueDeliveries(batch, []core.Delivery{d}); err != nil {
		return err
	}
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store a delivery: %w", err)
	}
	return nil
}

type deliveryRecord struct {
	Workspace     string     `json:"workspace"`
	Trigger       string     `json:"trigger_name"`
	Method        string     `json:"method"`
	RemoteAddress string     `json:"remote_address"`
	Bytes         int        `json:"bytes"`
	Status        int        `json:"status"`
	Reason        *string    `json:"reason"`
	JobID         *uuid.UUID `json:"job_id"`
}

const storeDeliveries = `
	insert into webhook_delivery (workspace, trigger_name, method, remote_address, bytes, status, reason, job_id)
	select workspace, trigger_name, method, remote_address, bytes, status, reason, job_id
	from json_to_recordset($1::json) as t (workspace text, trigger_name text, method text, remote_address text, bytes int,
		status int, reason text, job_id uuid)`

// trimDeliveries removes what is too old of the triggers in question.
const trimDeliveries = `
	delete from webhook_delivery d
	using (select distinct workspace, trigger_name from json_to_recordset($1::json) as t (workspace text, trigger_name text)) as t
	where d.workspace = t.workspace and d.trigger_name = t.trigger_name and d.delivery_id <= (
		select k.delivery_id from webhook_delivery k where k.workspace = t.workspace and k.trigger_name = t.trigger_name
		order by k.delivery_id desc offset $2 limit 1)`

// trimEvery is how often old deliveries are looked for: reading never shows more than are kept.
const trimEvery = 50

func queueDeliveries(batch *pgx.Batch, deliveries []core.Delivery) error {
	records := make([]deliveryRecord, len(deliveries))
	for i, d := range deliveries {
		records[i] = deliveryRecord{
			d.Workspace, d.Trigger, d.Method, d.RemoteAddress, d.Bytes, d.Status, optional(d.Reason), optional(d.JobID),
		}
	}
	document, err := json.Marshal(records)
	if err != nil {
		return fmt.Errorf("encode deliveries: %w", err)
	}
	batch.Queue(storeDeliveries, string(document))
	if rand.N(trimEvery) == 0 { //nolint:gosec // no secret
		batch.Queue(trimDeliveries, string(document), core.KeptDeliveries)
	}
	return nil
}

// Deliveries returns those of a trigger, newest first, and how many there are.
func (s *Store) Deliveries(ctx context.Context, workspace, trigger string, limit, offset int) (list []core.Delivery, total int, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`select count(*) from (select from webhook_delivery where workspace = $1 and trigger_name = $2 limit $3) as counted`,
		workspace, trigger, core.KeptDeliveries).QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	batch.Queue(`select delivery_id, workspace, trigger_name, at, method, remote_address, bytes, status, reason, job_id
		from webhook_delivery where workspace = $1 and trigger_name = $2 order by delivery_id desc limit $3 offset $4`,
		workspace, trigger, min(limit, max(0, core.KeptDeliveries-offset)), offset).Query(func(rows pgx.Rows) (err error) {
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d core.Delivery, err error) {
			var reason *string
			var job *uuid.UUID
			err = row.Scan(&d.ID, &d.Workspace, &d.Trigger, &d.At, &d.Method, &d.RemoteAddress, &d.Bytes, &d.Status, &reason, &job)
			d.Reason, d.JobID = value(reason), value(job)
			return d, err
		})
		return err
	})
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("read deliveries: %w", err)
	}
	return list, total, nil
}
