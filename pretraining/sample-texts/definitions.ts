/**
 * Definitions of nouns by the room they belong in (see ../samples.ts). Quoted from WordNet 3.0, Copyright 2006 by Princeton University, whose licence lets
 * anybody use, copy, modify and distribute it with this notice. Chosen by hand; the labels are ours.
 */
export const DEFINITIONS = {
  zoo: `
a domesticated animal kept for companionship or amusement
large gallinaceous bird with fan-shaped tail
young bird that has just fledged or become capable of flying
black birds having a raucous call
any of numerous marine mammals that come on shore to breed
North American woodpecker
young of domestic cattle
a range horse of the western United States
social insect living in organized colonies
body covering of a living animal
wild and domesticated birds having a heavy body and short legs
growth of hair or wool or fur covering the body of an animal
any of numerous small pigeons
the horny covering of the end of the foot in ungulate mammals
any creature of exceptional size
terrestrial plant-eating insect with hind legs adapted for leaping
adult male horse kept for breeding
the hollow spine of a feather
a conspicuously marked or shaped tail
young bird especially of domestic fowl
woolly usually horned ruminant mammal related to the goat
membrane connecting the toes of some aquatic birds and mammals
formerly a strong swift horse ridden into battle
cattle that are reared for their meat
horny projecting mouth of a bird
any of various large flies that annoy livestock
a leopard in the black color phase
any of the stiff bony spines in the fin of a fish
a bunch of feathers or hair
a horse of a moderate reddish-brown color
fish of western Atlantic: Cape Cod to Brazil
female of certain aquatic animals e.g. octopus or lobster`,
  kitchen: `
a beverage consisting of an infusion of ground coffee beans
tasty mixture or liquid into which bite-sized foods are dipped
food or meals in general
any of several bite-sized candies
a sandwich in which the filling is rolled up in a soft tortilla
the flesh of a chicken used for food
a cut of beef between the rump and the lower leg
a beverage made by steeping tea leaves in water
a single serving of a beverage
small flat ring-shaped cake or cookie
small round bread leavened with baking-powder or soda
fruit preserved by cooking with sugar
a liquor made from fermented mash of grain
sweet dark-red dessert wine originally from Portugal
Japanese alcoholic beverage made from fermented rice
preserve of crushed fruit
a main course served on a plate
a rectangular quarter pound block of butter or margarine
back and sides of a hog salted and dried or smoked
grape juice before or during fermentation
a light midafternoon meal of tea and sandwiches or cakes
the main meal of the day served in the evening or at midday
a light inflated pastry or puff shell
an eating apple that somewhat resembles a McIntosh
a food mixture used to fill pastry or sandwiches etc.
hot or cold alcoholic mixed drink containing a beaten egg
a thin crisp slice of potato fried in deep fat
slices of bread that have been toasted
a small amount of liquid food
a dish or dessert that is formed in or on a mold
a serving that has been cut from a larger portion
very hard unsalted biscuit or bread`,
  people: `
a person who keeps watch over something or someone
a stand-in for movie stars to perform dangerous stunts
a person whose occupation is teaching
a worker who holds or is invested with an office
an officer in a police force
a person engaged in one of the learned professions
a person who owes allegiance to that nation
the person who plays the position of guard on a basketball team
the educator who has executive authority for a school
a member of a learned society
an informal term for a youth or man
an athlete who plays for pay
a person who has achieved distinction and honor in some field
a formal and conservative person with old-fashioned views
someone who sees an event and reports what happened
a person who is a participating member of an organization
a person who lacks good judgment
a traveler who accompanies you
a boy who is employed to run errands
the pilot in charge of an airship
a judge of a probate court
a male with the same parents as someone else
a soldier in the regular army
a friendly informal reference to a grown man
an agent that operates some apparatus or machine
a speculator who trades aggressively on stock or commodity markets
a native or inhabitant of the United States
a person who requires medical care
the head of a religious order or congregation
a licensed medical practitioner
18th President of the United States
an inseparable companion`,
  clock: `
a time unit of approximately 30 days
a break or intermission in the occurrence of something
the period between birth and the present time
the seventh and last day of the week
the duration of a monarch's or government's power
the coldest season of the year
a unit of time equal to 60 seconds or 1/60th of an hour
a prolonged period of time
any distinct time period in a sequence of events
the period of instruction in a school
a shortening of nightfall
any period of seven consecutive days
time for Earth to make a complete rotation on its axis
the period of greatest prosperity or productivity
the fifth day of the week
the month following August and preceding October
the normal time between successive generations
an indefinitely short time
the season when the leaves fall from the trees
the present or immediately coming night
the time of life between childhood and maturity
the time period between dawn and noon
the part of the day between noon and evening
the second half of an inning
the period immediately before something
the date on which an obligation must be repaid
a recurrent time marked by major holidays
a unit of time equal to 15 minutes or a quarter of an hour
a day on which work is suspended by law or custom
an early period of development
the interval between two times
an era of existence or influence`,
} as const
