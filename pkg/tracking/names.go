package tracking

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// What random run names are made of. The words are short: a name has at most maxRandomName
// characters.
var (
	adjectives = strings.Fields(`
		agile airy amber ample apt arctic arid avid awake aware balmy basic blunt brave breezy brisk
		candid chatty cheery civic clear clever coral cosmic cozy crafty crisp cubic curly daring deft
		dense dewy direct dreamy dusky eager early earnest easy elated elegant epic even exact fair
		fancy fast festive fine firm fleet fluent fond fresh frosty gallant genial giant glad golden
		grand green handy happy hardy hazel hearty honest humble hushed icy ideal ivory jade jaunty
		jolly jovial keen kind lively loyal lucid lunar mellow merry mighty mild misty modest mossy
		neat nifty noble olive opal patient plain plucky prime proud quick quiet rapid ready regal
		robust rosy royal rustic sandy serene sharp shiny silver sleek smart snug solar solid sonic
		spry stable steady stellar still sunny sure swift tidy tranquil true trusty upbeat velvet
		vivid warm wavy windy witty zesty`)
	animals = strings.Fields(`
		adder alpaca badger beaver bison bobcat camel canary caracal cheetah cicada cobra condor coot
		cougar coyote cricket curlew dingo dormouse dunlin eagle egret eland ermine falcon ferret
		gannet gazelle gecko gerbil gibbon giraffe grebe grouper guppy hamster harrier hedgehog heron
		herring hornet hyena ibex ibis iguana impala jackal jackdaw jaguar kestrel kiwi koala kudu
		lemming lemur leopard linnet lizard llama lobster macaw magpie mallard manatee marlin marmot
		marten martin minnow mongoose moray muskrat narwhal nuthatch ocelot okapi osprey oriole otter
		oyster parrot pelican petrel pigeon pika plover pony puffin puma python quokka rabbit raccoon
		raven redstart reindeer salmon sandpiper serval shark shrike siskin skate sparrow starling
		stork sturgeon swallow tapir tarsier tern thrush tiger toucan turbot vicuna viper vulture
		wallaby walrus weasel wombat zander`)
)

const maxRandomName = 20

// randomRunName names a run that nobody named: adjective, animal and a number of up to 1000
// (mlflow.utils.name_utils._generate_random_name).
func randomRunName() string {
	const (
		attempts  = 10
		numbers   = 1001
		separator = "-"
	)

	name := ""

	for range attempts {
		name = fmt.Sprint(
			adjectives[rand.IntN(len(adjectives))], separator, //nolint:gosec // a name, not a secret
			animals[rand.IntN(len(animals))], separator, //nolint:gosec // a name, not a secret
			rand.IntN(numbers), //nolint:gosec // a name, not a secret
		)
		if len(name) <= maxRandomName {
			return name
		}
	}

	return name[:maxRandomName]
}
