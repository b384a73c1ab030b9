package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/mask"
)

// The columns that values are sealed for; with them goes the id of the row.
const (
	placeJobInput    = "job.input_sealed"
	placeMask        = "job.mask_sealed"
	placeStepInput   = "job_step.input_sealed"
	placeStepOutput  = "job_step.output_sealed"
	placeRunnerState = "job_step.runner_state_sealed"
)

func rowOf(id core.StepID) string { return strconv.FormatInt(int64(id), 10) }

// hide returns a document as it is stored in a plain column and, if that is another one, the document sealed for a place
// beside it. fields are those at its top that are secret as a whole, however short.
func (e *Engine) hide(masker *mask.Masker, document json.RawMessage, fields []string, place, row string) (plain json.RawMessage, sealed []byte, err error) {
	plain, hidden, err := hideFields(document, fields)
	if err != nil {
		return nil, nil, err
	}
	plain, masked, err := masker.JSON(plain)
	if err != nil {
		return nil, nil, err
	}
	if !hidden && !masked {
		return document, nil, nil
	}
	sealed, err = e.config.Seal.Seal(document, place, row)
	return plain, sealed, err
}

func hideFields(document json.RawMessage, fields []string) (plain json.RawMessage, changed bool, err error) {
	if len(fields) == 0 {
		return document, false, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(document, &object); err != nil {
		return nil, false, fmt.Errorf("decode an input: %w", err)
	}
	shown, err := json.Marshal(mask.Mark)
	if err != nil {
		return nil, false, fmt.Errorf("encode the mark: %w", err)
	}
	for _, name := range fields {
		if value, given := object[name]; given && string(value) != "null" {
			object[name], changed = shown, true
		}
	}
	if !changed {
		return document, false, nil
	}
	if plain, err = json.Marshal(object); err != nil {
		return nil, false, fmt.Errorf("encode an input: %w", err)
	}
	return plain, true, nil
}

// open is the reverse of hide. What cannot be opened is the fault of whoever changed the key, and no retry would help.
func (e *Engine) open(plain json.RawMessage, sealed []byte, place, row string) (json.RawMessage, error) {
	if sealed == nil {
		return plain, nil
	}
	document, err := e.config.Seal.Open(sealed, place, row)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "sealed", "Cannot open %s of %s: %s", place, row, err)
	}
	return document, nil
}

// outputsOf returns the outputs of completed steps as the steps gave them.
func (e *Engine) outputsOf(ctx context.Context, job uuid.UUID, steps []string) (map[string]json.RawMessage, error) {
	stored, err := e.store.Outputs(ctx, job, steps)
	if err != nil {
		return nil, err
	}
	outputs := make(map[string]json.RawMessage, len(stored))
	for name, output := range stored {
		if outputs[name], err = e.open(output.Output, output.Sealed, placeStepOutput, rowOf(output.ID)); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// hideState is hide for the state of a runner, of which nothing is shown if there is a secret in it, or if it is not known
// what is secret.
func (e *Engine) hideState(masker *mask.Masker, known bool, state []byte, id core.StepID) (plain, sealed []byte, err error) {
	if known && !masker.Found(state) {
		return state, nil, nil
	}
	sealed, err = e.config.Seal.Seal(state, placeRunnerState, rowOf(id))
	return []byte(mask.Mark), sealed, err
}

// stateOf is the state of a runner as it gave it, nil if it cannot be opened.
func (e *Engine) stateOf(ctx context.Context, step *core.HeldStep) []byte {
	if step.RunnerStateSealed == nil {
		return step.RunnerState
	}
	state, err := e.config.Seal.Open(step.RunnerStateSealed, placeRunnerState, rowOf(step.ID))
	if err != nil {
		e.logger.WarnContext(ctx, "the state of a runner cannot be opened: its run is not found again",
			"job", step.JobID, "step", step.Name, "error", err)
		return nil
	}
	return state
}
