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
ring me awake with birds singing at seven thirty
wake us at dawn please
set the alarm for ten to seven
a timer of forty minutes for the roast
is my alarm set for tomorrow
i need an alarm at three in the afternoon
wake me before the sun comes up
start the timer now
stop the alarm, i am awake
two alarms, one at six and one at ten past
turn the wake up call off for the holidays
timer for the washing machine, one hour
which alarms do i have
let me sleep until ten today
how many minutes are left
reset the timer
ring at midnight
wake the children at half past seven
alarm every weekday at five to six
add three minutes to the timer
i want to sleep for twenty minutes, then wake me`,
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
sing along songs for the car
play the first song of the album
some soft music for dinner
play that song about the river again
i would like to hear an old waltz
next track
louder please
turn the music down a little
play my running songs
let me hear the new single
put on a record by the choir
stop the music
songs from when i was young
which band is this
play the violin concert
music for falling asleep
start my morning playlist
play it from the beginning
i want to hear that singer from the film
happy songs for cleaning the house
pause the song`,
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
are there clouds over the mountains
what is the weather like today
will it be warm tomorrow
is it raining in london
do we get snow this winter
how windy is it going to be
weather for the weekend please
will the rain last all day
is it sunny at the beach
how cold will it be tonight
does it look like thunder
is the weather good enough for a walk
will there be frost in the morning
tell me tomorrow's temperature
hot or cold on monday
is there rain in the afternoon
when does the sun come out
how is the weather in paris
will the snow stay
is a warm week ahead
any storms near the sea tonight`,
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
video call with the cousins
call the doctor please
phone my sister
i want to call the hotel
text anna that dinner is ready
call the school at nine
read out the message from mum
who called
send a message to the boss
ring the taxi firm
call me a plumber from my contacts
tell dad by text that we arrived
phone home
what did lucy write
call back the person who just rang
message the team that i am ill
dial nine four two
answer the phone
leave a message for my uncle
call grandpa and wish him a happy birthday
send my brother the address`,
} as const
