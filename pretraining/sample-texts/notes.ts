/** Messages with a day of the week in them, and messages with a sum of money (see ../samples.ts). What is to be found stands in [brackets]. Written for this project. */
export const DAYS = `
the dentist can see you on [Monday] at ten
let's have dinner on [Friday], my treat
[Tuesday] is fine for me
i'm away until [Thursday]
could we move the meeting to [Wednesday]
the party is next [Saturday] at our place
see you [Sunday] after church
bins go out on [Monday]
your parcel arrives [Friday] morning
she has her piano lesson every [Tuesday]
no school on [Thursday], remember
i can help you paint on [Saturday]
the shop is closed on [Sunday]
[Wednesday] morning, half past eight, front gate
my flight leaves late on [Friday]
the plumber will come on [Monday] or not at all
how about lunch on [Thursday]
grandma arrives by train on [Tuesday]
we play the final on [Sunday]
the library opens again on [Wednesday]
don't forget the exam on [Friday]
[Saturday] works better for the children
please pay the rent by [Monday]
they deliver the sofa on [Thursday] afternoon
i saw him at the market last [Saturday]
choir practice moves to [Tuesday] this week
my holiday starts on [Wednesday]
it should stop raining by [Sunday]
the car is ready on [Tuesday]
can you take the dog on [Friday] night
the doctor called, your results come on [Monday]
we are having soup on [Thursday]
on [Sunday] the clocks go back
the film comes out this [Wednesday]
he was born on a [Saturday]
call me [Monday] evening
the tickets are for [Saturday], row nine
[Thursday] would be the earliest
our neighbours move out on [Friday]
i start my new job on [Monday]
the gym is half price every [Wednesday]
she wants to bake a cake for [Sunday]
has anyone fed the cat since [Tuesday]
the boat sails on [Thursday] at dawn
you can bring the books back on [Tuesday]
market day is [Saturday], bring a bag
on [Wednesday] we learn to swim
there is a strike on [Friday], take the bike
my parents stay until [Sunday]
the gas man wants to read the meter on [Tuesday]
i'd say [Friday], but ask the others
first rehearsal is [Monday] in the old hall
the nurse is only here on [Thursday]
a table for four on [Saturday] at eight, please
we voted for [Wednesday] as the day of the trip
the snow came on [Sunday] and stayed
your library card ends on [Monday]
the court meets again on [Tuesday]
the bakery has fresh rolls even on [Sunday]
would [Wednesday] at noon suit you
send me the figures before [Friday], thanks
it's quiet here on a [Thursday]
the band plays in town on [Saturday] night
i have not slept since [Monday]
the new neighbours come for tea on [Sunday]
the last bus on [Friday] goes at midnight
football is off, so [Tuesday] is free
the painter finished the hall on [Wednesday]
on [Saturday] i sleep until ten
the judge will decide on [Thursday]
the fair comes to town on [Friday]
lessons begin again on [Tuesday]
our anniversary falls on a [Wednesday]
they picked up the old fridge on [Monday]
can it wait until [Saturday]
[Sunday] lunch at mum's as always
the bank calls you back on [Thursday]
the kids have a day off on [Monday]
i ordered the cake for [Saturday]
the water will be turned off on [Wednesday]
what are you doing on [Sunday]
she lands in rome on [Thursday]
we should finish the fence by [Tuesday]
the choir sings on [Friday] at the town hall
there was nobody at home on [Wednesday]
tell the team that training is on [Thursday]
the hairdresser had no time before [Saturday]
the garden centre has a sale until [Sunday]
on [Tuesday] the museum is free
he promised to call on [Monday]
i'm at the office [Wednesday], at home the rest of the week
the vet can take the rabbit on [Friday]
no bread left, the baker is shut on [Monday]
the wedding is on a [Thursday], how odd
the meeting on [Tuesday] took all day
it was the best [Sunday] of the summer
the river rose on [Saturday] and fell again
leave the keys with paul on [Friday]
[Monday] is my only free day
two seats for the play on [Wednesday] evening
`
export const SUMS = `
the tickets are [20 dollars] each
i paid [15 euros] for the book
lunch was only [8 pounds]
you owe me [30 dollars] for the gas
he sold his bike for [90 euros]
rent is [700 pounds] a month
she found [5 dollars] in her coat
the repair will cost [120 euros], they say
a cup of tea is [2 pounds] here
can you lend me [40 dollars] until friday
the hotel wants [85 euros] a night
we collected [300 pounds] for the school
shoes for [60 dollars], what do you think
the taxi driver asked for [25 euros]
i got [10 pounds] from grandma
they offered [450 dollars] for the piano
parking was [6 euros], can you believe it
send me [50 pounds] and we are even
the fine is [75 dollars]
bring [12 euros] for the museum trip
my phone bill came to [35 pounds]
the lamp was reduced to [18 dollars]
entry is free, but the guide costs [9 euros]
our budget for the kitchen is [4000 pounds]
i won [100 dollars] in a bet
milk has gone up to [3 euros]
a new tyre is [55 pounds]
we split the bill, that makes [22 dollars] for you
the deposit was [200 euros]
he left a tip of [7 pounds]
the painting went for [900 dollars]
a day pass costs [16 euros]
mum sent [65 pounds] for your birthday
you still have [14 dollars] on your card
the plumber charged [110 euros] for ten minutes
the flight is [240 pounds] with one bag
put [11 dollars] in the jar please
cheese, bread and wine, [19 euros] together
the lawyer takes [150 pounds] an hour
it says [45 dollars] on the label
the kids get [4 euros] a week
a pair of gloves for [13 pounds]
we raised [800 dollars] with the cake sale
two coffees, [6 pounds] please
the hall can be had for [70 euros] an evening
someone stole [80 dollars] from the till
the old clock is worth [500 pounds]
i'd pay [28 euros] for it, not more
my first wage was [320 dollars]
the vet took [95 pounds] for a look at the dog
stamps came to [17 euros]
lost, a purse with [26 dollars] in it
the camera cost me [270 pounds]
they want [33 euros] for the sofa
we need [600 dollars] more for the trip
one kilo of cherries is [5 pounds]
the ring was [1000 euros]
send the [48 dollars] to my account
a haircut for [21 pounds], not bad
the bus to the coast is [24 euros]
dad gave me [15 dollars] for washing the car
the course is [130 pounds] for ten lessons
his watch must be worth [2000 euros]
i dropped [1 dollar] down the drain
gas was [52 euros] last month
the ferry takes cars for [38 pounds]
the choir paid [250 dollars] for the room
last price, [42 euros]
breakfast is [9 pounds] extra
you get [5 euros] back for the bottles
the bank took [27 dollars] as a fee
the tent was on sale for [64 pounds]
an ice cream is [2 euros] at the beach
the dress was too dear at [180 dollars]
he gave [50 euros] to the animal home
membership costs [29 pounds] a year
the roof will be [5000 dollars] at least
i sold the old table for [36 euros]
they pay [12 pounds] an hour
a plant for [8 dollars] and a pot for free
the doctor's bill was [160 euros]
seats in the back row are [14 pounds]
your share of the present is [10 dollars]
the garage wants [410 euros] for the brakes
it was a bargain at [3 pounds]
we spent [72 dollars] at the fair
the train fare rose to [31 euros]
keep the change, it's only [1 pound]
the boots were [99 dollars]
she saved [1200 euros] for the summer
the apples came to [4 pounds]
our neighbour asks [350 dollars] for his boat
all in all it was [58 euros]
this jacket was [115 pounds] new
the key cost [7 dollars] to copy
the band plays for [220 euros]
pay [41 pounds] by tuesday
a room with a bath is [68 dollars]
the honey is [6 euros] a jar
the insurance gave us [750 pounds] back
`
