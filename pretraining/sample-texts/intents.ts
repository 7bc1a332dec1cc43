/** What one says to a voice assistant, by what it has to do (see ../samples.ts). Written for this project; no sentence is another with a word changed. */
export const INTENTS = {
  alarm: `
wake me up at seven
i need to get up before six tomorrow
set a timer for the eggs, four minutes
ring in half an hour please
don't let me sleep past nine
remind me in ten minutes to turn off the oven
can you get me out of bed at quarter past five
put an alarm on for my nap
tell me when twenty minutes are over
start a countdown of ninety seconds
cancel the alarm for saturday morning
i have to be awake by eight, ring twice
snooze for five more minutes
how long is left on the timer
make some noise at noon so i stop working
let the bell go off every morning at half past six
move tomorrow's wake up time one hour later
beep when the tea has had three minutes
no alarm on sundays from now on
my train leaves early, wake me at four
time my run
ring me awake with birds singing at seven thirty`,
  music: `
play something slow
put on the new album by my favourite band
i want to hear some jazz
skip this song
turn the volume up, i love this tune
shuffle my party playlist
who is singing this
play the piano piece from yesterday again
something to dance to please
stop the song and start the next one
let's have a bit of rock and roll
find me a lullaby for the baby
go back to the chorus
play the radio, any station with old hits
more songs like this one
i feel like listening to guitar
add this track to my favourites
quiet classical sounds for reading
repeat that last song
give me drums and bass
what is the name of this melody
sing along songs for the car`,
  weather: `
will it rain this afternoon
do i need an umbrella
how cold is it outside
is it going to snow at the weekend
what is the forecast for tomorrow
should i take a coat
how hot will it get today
is there a storm coming
will the sun be out at lunch
what is the temperature in the garden
is it windy at the coast
tell me if it freezes tonight
when does the rain stop
can we have a picnic or will it be wet
how many degrees on thursday
is fog expected on the roads in the morning
any chance of sunshine this week
is it dry enough to hang out the washing
what will the sky look like this evening
boots or sandals today
is the heat going to last
are there clouds over the mountains`,
  light: `
turn off the lamp in the hall
it is too dark in here
make the bedroom brighter
switch on the kitchen lights
dim everything for the film
i can't see a thing, lights please
lights out, good night
change the lamp by the sofa to blue
only leave the one on the stairs burning
the bulb over the desk is too bright, lower it
light up the porch, somebody is coming
give the living room a warm glow
switch off all the lamps upstairs
set the garden lights to half
make it look like candles in the dining room
turn the bathroom light on
i'm going to read, a bit more light by the bed
is the light in the cellar still on
all dark please
let the lamps fade slowly
red light in the kids' room
the hall should light up when i come home`,
  phone: `
call mum
ring my brother back
dial the number of the dentist
i'd like to speak to anna
put me through to the office
who tried to reach me this morning
hang up
get grandma on the line
phone the restaurant and let it ring
send a text to paul saying i'm late
read me my last message
answer it and put it on speaker
did the school call
write to my boss that i am ill
reject the call
leave lucy a voice message
call the last number again
text my neighbour to feed the cat
have i missed a call
reply yes to tom
get me the doctor's surgery, it's urgent
video call with the cousins`,
  list: `
we are out of milk, put it on the list
add eggs and flour to my shopping
what do i still have to buy
take the onions off the list
i need batteries next time i'm in town
note down toothpaste
cross out the bread, i've got it
is butter on my list already
write down two bottles of juice for the party
empty my shopping list
put cat food on there, the big bag
we should get more rice
what was i going to get at the baker's
make that three lemons instead of one
add whatever you need for pancakes
soap is nearly finished, remember to buy some
read me the groceries
also a birthday card and some wrapping paper
delete the last thing i added
don't forget the coffee when we shop
start a new list for the hardware shop
potatoes, five pounds, write it down`,
  map: `
how do i get to the station
take me home
what is the quickest way to the airport
avoid the motorway
how far is it to the lake
where is the nearest petrol station
is there a traffic jam on my way to work
find a route that passes a bakery
which bus goes to the museum
how long does the drive to the coast take
turn left or right here
show me the road to the castle
i'm lost, where am i
navigate to twelve station road
is there parking close to the theatre
lead me back to the hotel
walk or take the tram, which is faster
what street is this
how many miles to the next town
guide me around the road works
where can i cross the river
when will we arrive`,
} as const
