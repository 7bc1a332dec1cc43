/** Short messages, by whether they are spam (see ../samples.ts). Written for this project; names, shops and numbers are made up. */
export const MESSAGES = {
  spam: `
you have won a free holiday, click here to claim it
earn 500 dollars a day from home
your account is locked, send us your password now
cheap watches, today only, order now
congratulations, your number was drawn in our lottery
lose ten pounds in a week with this one pill
last chance to get your bonus
we want to pay you for your opinion, sign up free
dear customer, confirm your bank details below
hot singles are waiting for you
claim your prize before midnight
get rich with this secret trick
a parcel is waiting, pay the fee here to receive it
no credit check, money in your account in one hour
your computer has a virus, call this number at once
win a new phone, just answer one question
this offer ends tonight, buy one get two free
you are the visitor number one million
double your money in three days, no risk
miracle cream, doctors hate it
free gift card, click the link
urgent, your payment failed, update your card
make money while you sleep
exclusive deal for you, 90 percent off
reply win to enter the big draw
a prince needs your help to move his gold
act now and get a second pair at no cost
your loan of 5000 has been approved
we noticed a strange login, verify your account here
best casino bonus, play for free
only three places left, pay today
download this app and get cash
you were chosen for a secret reward
lowest prices on all pills, no doctor needed
guaranteed profit, ask me how
unlock your free coins now
final notice, your subscription is about to be charged, click to stop it
cheap flights from 9 dollars, limited offer
increase your followers overnight
text yes to get your free ring tone
this stock will explode tomorrow, buy now
receive a tax refund of 320, enter your card number
work two hours a week and drive a sports car
your photo was found on this page, look here
amazing discount on designer bags
we buy any house for cash, call today
you qualify for free solar panels
send this to ten friends and win
your mailbox is full, log in here to keep your messages
special price for new members, join now
hi dear, i saw your profile and want to send you money
100 free spins are waiting for you
stop paying too much, switch now and save big
your package could not be delivered, confirm your address and card
invest 50 today and retire next year
this is not a joke, you have won a car
meet rich people in your town
free trial, no strings, just your card number
the secret that banks do not want you to know
collect your reward points before they expire, click now`,
  fine: `
are we still meeting for lunch
i left my keys at your place
the meeting has moved to room four
happy birthday, see you on sunday
can you pick up the kids at three
thanks for the photos from the garden
running late, start without me
did you feed the cat this morning
the doctor says it is only a cold
mum wants to know if you are coming
i have put the report on your desk
sorry i missed your call, i was in the shower
the train is stuck outside the station
what time does the film start
we need bread and some cheese
dad fixed the car at last
see you at the gym at six
could you send me the notes from class
the baby slept all night
i'll bring the salad, you bring the wine
your book is due at the library
the plumber comes tomorrow morning
good luck with the exam
i'm on the bus, home in ten minutes
which colour do you want for the kitchen
grandma is much better today
don't forget your umbrella
the neighbours are having a party again
let's go to the lake at the weekend
i found your scarf behind the sofa
how was the first day at school
please water the plants while we are away
the match was cancelled because of the rain
i'll call you after work
we saw anna at the market
your sister had a little girl
the soup is in the fridge, just warm it up
is the window in the office closed
tell paul i said hello
my phone was dead all day
the kids want to stay one more night
what was the name of that restaurant
i can't find the recipe you gave me
the teacher is ill, no lesson today
we are out of milk
the dog ran away but came back
thank you for helping with the boxes
choir practice is at half past seven
lunch was great, next time i pay
have you seen my blue jacket
the flight landed early, we are waiting outside
i finished the book, it made me cry
the key is under the flower pot
do you need a lift to the airport
the new desk arrived with a leg missing
it snowed here all night
we could cook together on friday
my brother will help you carry it
i think i lost my ticket
sleep well, talk tomorrow`,
} as const
