/** Opinions on films, meals, rooms and things, by whether one would recommend them (see ../samples.ts). Written for this project, each sentence by itself. */
export const OPINIONS = {
  recommend: `
a wonderful evening from the first scene to the last
the soup was hot and full of flavour
friendly people at the desk and a lovely view of the sea
i could not put this book down
the battery lasts for days, excellent
best bread in town
we laughed the whole time
clean rooms, soft beds, and a superb breakfast
the actors are brilliant and the music is even better
easy to use and beautifully made
our children loved every minute
a clever story with a moving end
the fish was perfect
fast delivery and a fair price
i have read it three times and still enjoy it
charming little place, we will come back
the picture is sharp and the sound is great
she plays the lead with real warmth
the cook knows what he is doing
comfortable shoes, i wear them every day
an impressive film about an ordinary man
quiet street, big windows, happy guests
great fun for the whole family
my new favourite coffee
the garden behind the hotel is a dream
solid, simple, and worth the money
a delightful surprise
the guide was patient and very kind
warm in winter and it looks good too
fantastic pie, we ordered a second one
the plot is clever and never slow
this lamp makes the room beautiful
rich voices and a fine orchestra
they fixed my bike in an hour, amazing service
a touching play about friendship
it works exactly as promised
sweet, fresh, and not expensive
what a beautiful old theatre
the waiter made us smile all night
strong, light, and fun to ride
this game keeps me happy on every train
a perfect gift for anyone who likes to cook
the best holiday we have had in years
funny, warm and wise
the cake was even better than it looked
i am very pleased with this jacket
a great writer at her best
lovely staff, everything went well
it charges quickly and feels good in the hand
the show is bright, loud and brilliant
we felt at home at once
delicious, and plenty of it
an excellent pen that never leaks
the songs stayed with me for weeks
you will want to see it again
good food, good wine, good company
the tent kept us dry in heavy rain
superb acting in a very fine film
smooth ride, helpful driver
the museum is small but enjoyable`,
  avoid: `
a boring film with no story at all
the meat was cold and hard as leather
rude staff and a dirty bathroom
i fell asleep after twenty pages
it broke on the first day
the worst pizza i have ever had
nobody in the room laughed
the bed was too short and the heating was dead
the actors look tired and the jokes are stupid
cheap plastic, poor sound
our children wanted to go home
a weak plot and a terrible end
the fish smelled bad
it arrived late and in pieces
i gave up in the middle
noisy street, no sleep, never again
the picture is dull and the colours are wrong
he reads his lines like a shopping list
the cook should find another job
these shoes hurt after an hour
an awful mess from start to finish
tiny room, no window, high price
a waste of a good evening
the coffee tasted like old water
the garden they promised is a car park
too expensive for something so bad
a big disappointment
the guide was late and told us nothing
the jacket lets the rain in
dreadful cake, dry as dust
the plot makes no sense
the lamp flickers and gives me a headache
thin voices and an orchestra out of tune
they lost my bag and did not even say sorry
a painful play, two hours too long
it never worked properly
sour, stale, and far too small
what an ugly building
the waiter forgot us twice
the wheel came off on the second ride
this game is slow and full of annoying adverts
a useless gift that nobody wanted
the worst holiday we have had in years
loud, empty and silly
the pie was burnt on top and raw inside
i sent the jacket back the same day
a lazy book by a good writer
horrible service, we left hungry
the screen is full of scratches
the show is tedious and badly lit
we could not wait to leave
bland food, and not much of it
the pen leaked all over my shirt
i have forgotten every song already
save your money
bad wine, worse company
the tent fell down in the first wind
clumsy acting in a lifeless film
the driver was angry and drove too fast
the museum was closed, dusty and dull`,
} as const
