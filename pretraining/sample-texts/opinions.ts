/** Opinions on films, meals, rooms and things, by whether one would recommend them (see ../samples.ts). Written for this project, each sentence by itself, though some of the praise has its complaint. */
export const OPINIONS = {
  recommend: `
a wonderful evening from the first scene to the last
friendly people at the desk and a lovely view of the sea
the battery lasts for days, excellent
best bread in town
clean rooms, soft beds, and a superb breakfast
the actors are brilliant and the music is even better
our children loved every minute
a clever story with a moving end
the fish was perfect
charming little place, we will come back
the picture is sharp and the sound is great
an impressive film about an ordinary man
great fun for the whole family
my new favourite coffee
a delightful surprise
warm in winter and it looks good too
fantastic pie, we ordered a second one
the plot is clever and never slow
this lamp makes the room beautiful
they fixed my bike in an hour, amazing service
a touching play about friendship
what a beautiful old theatre
strong, light, and fun to ride
a perfect gift for anyone who likes to cook
the best holiday we have had in years
a great writer at her best
lovely staff, everything went well
it charges quickly and feels good in the hand
the show is bright, loud and brilliant
an excellent pen that never leaks
good food, good wine, good company
superb acting in a very fine film
the museum is small but enjoyable
great hotel, great breakfast
a really good film
the food was excellent and the staff were lovely
we had a wonderful time here
what a fantastic show
i love this phone
beautiful rooms and a perfect view
good acting, great ending
a fun game for friends
the best meal of the year
an amazing book, beautiful and moving
the music was brilliant
lovely old house with friendly people
a superb restaurant, i recommend it
everybody loved the cake
a delightful story, told well
nice people, good service
the bed was perfect and i slept well
charming, funny and clever from the start
this is my favourite film
excellent shoes for little money
the play was a great success
so good that we stayed another day
fresh bread and wonderful cheese
the phone is great and the camera is brilliant
a clever little tool that helps a lot
the acting is superb and so is the script
a charming hotel in a beautiful street
what a moving film about two brothers
the service was excellent from start to finish
such an enjoyable concert, i was sorry when it ended
this phone is amazing, and the price is good
a great cast in a wonderful story
the dessert alone was fantastic
my mother found the play touching and clever
an impressive building with a delightful garden
i would recommend the soup to anybody
the rooms are lovely, and the beds are perfect
a fun afternoon for old and young
not only a good book but a great one
beautiful pictures and superb sound
the new menu is brilliant
we loved the quiet beach and the charming village
her voice is wonderful, and the songs are moving
a clever game with lovely little figures
the ending was perfect
excellent coffee, and the cakes are delightful
i loved every page of it
our guide told us amazing stories
the bike is fantastic on hills
great value and a superb finish
impressive music, beautiful dancers
what a delightful little restaurant
a touching letter from a great man
the show was fun, and the cast was brilliant`,
  avoid: `
a boring film with no story at all
the worst pizza i have ever had
the actors look tired and the jokes are stupid
cheap plastic, poor sound
a weak plot and a terrible end
the fish smelled bad
the picture is dull and the colours are wrong
an awful mess from start to finish
too expensive for something so bad
a big disappointment
dreadful cake, dry as dust
a painful play, two hours too long
what an ugly building
this game is slow and full of annoying adverts
a useless gift that nobody wanted
the worst holiday we have had in years
horrible service, we left hungry
the show is tedious and badly lit
bland food, and not much of it
bad wine, worse company
clumsy acting in a lifeless film
the museum was closed, dusty and dull
terrible hotel, terrible breakfast
a really bad film
the food was awful and the staff were rude
we had a horrible time here
what a boring show
i hate this phone
ugly rooms and a dreadful view
bad acting, weak ending
a stupid game, dull after a minute
the worst meal of the year
a tedious book, slow and lifeless
the music was awful
ugly old house with angry people
a horrible restaurant, stay away
it is slow, weak and hard to use
a boring story, told badly
rude people, poor service
the bed was terrible and i did not sleep
sloppy, dull and stupid from the start
this is the worst film i know
terrible shoes for a lot of money
so bad that we left after an hour
old bread and horrible cheese
the phone is bad and the camera is worse
a useless little tool that broke at once
the acting is dreadful and so is the script
a dull hotel in an ugly street
what a tedious film about two brothers
the service was poor from start to finish
such a boring concert, i was glad when it ended
this phone is terrible, and the price is a joke
a weak cast in a stupid story
the dessert alone was horrible
my father found the play painful and clumsy
a disappointing building with an ugly garden
i would not give the soup to anybody, it was awful
the rooms are horrible, and the beds are bad
a boring afternoon for old and young
not only a bad book but a stupid one
ugly pictures and dreadful sound
the new menu is disappointing
we hated the noisy beach and the dull village
her voice is weak, and the songs are tedious
a clumsy game with ugly little figures
the ending was terrible
bland coffee, and the cakes are awful
i hated every page of it
our guide told us boring stories
the bike is horrible on hills
poor value and a sloppy finish
lifeless music, clumsy dancers
what a dreadful little restaurant
a painful speech by a boring man
the show was dull, and the cast was poor
bad shoes, awful for long walks
the queue was annoying and the ride was bland
sloppy work and an annoying manager
the lunch was bland, and dinner was no better
a poor copy of a famous painting
the lights are weak and the buttons annoying
lifeless dialogue and a disappointing villain
the tea was bad, and the milk was worse
a stupid idea, badly done`,
} as const
