package provider

import "strings"

// demoConcepts are words that mean the same thing to a tool: a question about
// an umbrella is one for the weather. The first word of a line names it.
const demoConcepts = `
weather forecast rain rainy raining snow snowing snowy sunny umbrella temperature wind windy storm stormy cloudy humid humidity celsius fahrenheit degrees sunshine drizzle jacket coat climate warm warmer cold colder hot hotter
currency exchange money euro euros eur usd gbp jpy chf dollar dollars yen rupees sterling pesos
arithmetic calculator calculate math mathematical expression evaluate plus minus divided multiplied multiply subtract squared sqrt sum percent percentage
translate translation translator language french german spanish italian portuguese japanese chinese
calendar meeting appointment event schedule agenda availability invite
order package parcel shipment shipping delivery delivered track tracking courier shipped
refund reimburse reimbursement repay
email mail e-mail inbox
time clock timezone o'clock
news headlines headline
stock share shares ticker stocks equity nasdaq
document documents handbook policy manual docs passages knowledge file files
reminder remind todo task alarm
route directions distance drive driving travel itinerary far
flight fly flights plane airline airport airfare
hotel hotels room lodging accommodation overnight stay
restaurant restaurants eat dinner lunch table reservation cuisine
music song songs album playlist
convert conversion
user customer account client contact
`

var demoConceptOf = demoConceptStems()

// demoConceptStems returns the concept of each stem that has one.
func demoConceptStems() map[string]string {
	of := map[string]string{}
	for line := range strings.Lines(demoConcepts) {
		words := strings.Fields(line)
		for _, w := range words {
			of[demoStem(w)] = words[0]
		}
	}
	return of
}
