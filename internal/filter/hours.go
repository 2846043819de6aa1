package filter

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/gb"
)

// Outside holds outside the practice's working hours: before From or from To on, on other
// days, and on bank holidays.
type Outside struct {
	Location     *time.Location
	Days         []time.Weekday
	From, To     int    // minutes of the day
	BankHolidays string // england-and-wales, scotland, northern-ireland; none or empty: they are days like others
}

// Needs is empty: the moment is always known.
func (Outside) Needs() Need { return 0 }

// Holds reads Facts.At in the practice's own time zone.
func (c Outside) Holds(in *Input, _ int) (bool, error) {
	if in.Facts.At.IsZero() || c.Location == nil {
		return false, errors.New("outside: nobody said what time it is")
	}
	holidays, err := bankHolidays(c.BankHolidays)
	if err != nil {
		return false, err
	}
	t := in.Facts.At.In(c.Location)
	minute := t.Hour()*60 + t.Minute()
	return minute < c.From || minute >= c.To || !slices.Contains(c.Days, t.Weekday()) || isHoliday(t, holidays), nil
}

// isHoliday reports whether the day is a holiday or the day in its place. A holiday at the end
// of December is observed in January, so the neighbouring years are asked too.
func isHoliday(t time.Time, holidays []*cal.Holiday) bool {
	for _, h := range holidays {
		for _, year := range []int{t.Year() - 1, t.Year()} {
			actual, observed := h.Calc(year)
			for _, d := range []time.Time{actual, observed} {
				if !d.IsZero() && d.Year() == t.Year() && d.YearDay() == t.YearDay() {
					return true
				}
			}
		}
	}
	return false
}

// bankHolidays returns the bank holidays of a part of the United Kingdom. The library has
// those of England and Wales; the days that only Scotland and Northern Ireland keep stand here
// (Banking and Financial Dealings Act 1971, schedule 1; St Andrew's Day Bank Holiday
// (Scotland) Act 2007).
func bankHolidays(of string) ([]*cal.Holiday, error) {
	monday := []cal.AltDay{{Day: time.Saturday, Offset: 2}, {Day: time.Sunday, Offset: 1}}
	day := func(month time.Month, n int, observed []cal.AltDay) *cal.Holiday {
		return &cal.Holiday{Month: month, Day: n, Observed: observed, Func: cal.CalcDayOfMonth}
	}
	all := gb.Holidays
	switch of {
	case "", "none":
		return nil, nil
	case "england-and-wales":
		return all, nil
	case "northern-ireland":
		return slices.Concat(all, []*cal.Holiday{day(time.March, 17, monday), day(time.July, 12, monday)}), nil
	case "scotland":
		own := slices.DeleteFunc(slices.Clone(all), func(h *cal.Holiday) bool { return h == gb.EasterMonday || h == gb.SummerHoliday })
		// The second of January moves behind the first.
		second := day(time.January, 2, []cal.AltDay{{Day: time.Saturday, Offset: 2}, {Day: time.Sunday, Offset: 2}, {Day: time.Monday, Offset: 1}})
		return append(own, second, gb.SummerHolidayScotland, day(time.November, 30, monday)), nil
	}
	return nil, fmt.Errorf("outside: unknown bank holidays %q", of)
}
