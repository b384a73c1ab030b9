package joblog

import "regexp/syntax"

// maxRequired is how many texts [required] returns at most: looking for more of them is no faster than the expression itself.
const maxRequired = 8

// required returns texts of which every text that the expression matches has one; nil if none are known.
func required(x *syntax.Regexp) []string {
	switch x.Op { //nolint:exhaustive // all others require nothing that could be told
	case syntax.OpLiteral:
		if x.Flags&syntax.FoldCase != 0 {
			return nil
		}
		return []string{string(x.Rune)}
	case syntax.OpCapture, syntax.OpPlus:
		return required(x.Sub[0])
	case syntax.OpRepeat:
		if x.Min > 0 {
			return required(x.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range x.Sub {
			if list := required(sub); better(list, best) {
				best = list
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range x.Sub {
			list := required(sub)
			if list == nil {
				return nil
			}
			all = append(all, list...)
		}
		if len(all) > maxRequired {
			return nil
		}
		return all
	case syntax.OpCharClass: // the parser makes one of a|b
		var all []string
		for i := 0; i < len(x.Rune); i += 2 {
			for r := x.Rune[i]; r <= x.Rune[i+1]; r++ {
				if all = append(all, string(r)); len(all) > 2 {
					return nil
				}
			}
		}
		return all
	}
	return nil
}

// better tells whether one list is rarer in texts than another: that of which the shortest is longer.
func better(list, than []string) bool {
	return len(list) > 0 && (len(than) == 0 || shortest(list) > shortest(than) || shortest(list) == shortest(than) && len(list) < len(than))
}

func shortest(list []string) int {
	length := len(list[0])
	for _, text := range list[1:] {
		length = min(length, len(text))
	}
	return length
}
