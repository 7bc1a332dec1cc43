/** Messages with a day of the week in them, which stands in [brackets] (see ../samples.ts). Written for this project. */
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
