/** Short sentences as one says them, and the same without contractions and slang (see ../samples.ts). Written for this project. */
export const FORMAL = `
i'm late / I am late.
we can't come / We cannot come.
she's gonna win / She is going to win.
i don't know / I do not know.
they wanna stay / They want to stay.
it's cold / It is cold.
he won't wait / He will not wait.
gimme the key / Give me the key.
you've got mail / You have got mail.
i gotta go / I have to go.
that's not fair / That is not fair.
we didn't see it / We did not see it.
lemme think / Let me think.
she isn't home / She is not home.
they're kinda slow / They are rather slow.
i'll call you / I will call you.
what's the time / What is the time?
he's my dad / He is my father.
mum's at work / Mother is at work.
we're gonna eat / We are going to eat.
it doesn't fit / It does not fit.
the kids are tired / The children are tired.
i haven't read it / I have not read it.
you're right / You are right.
there's no bread / There is no bread.
he couldn't sleep / He could not sleep.
wanna dance / Do you want to dance?
she'd love it / She would love it.
i wasn't ready / I was not ready.
thanks for the book / Thank you for the book.
hi anna / Good day, Anna.
where's the dog / Where is the dog?
we've won / We have won.
don't touch it / Do not touch it.
they weren't happy / They were not happy.
i'd rather walk / I would rather walk.
it's gonna rain / It is going to rain.
you gotta see this / You have to see this.
he's got a car / He has got a car.
that wasn't me / That was not me.
who's there / Who is there?
you shouldn't smoke / You should not smoke.
i'm gonna sing / I am going to sing.
the guys are here / The men are here.
it ain't true / It is not true.
we'll see / We will see.
dunno yet / I do not know yet.
she hasn't paid / She has not paid.
they've left / They have left.
he isn't wrong / He is not wrong.
lemme help / Let me help.
i wanna sleep / I want to sleep.
you can't park here / You cannot park here.
here's your tea / Here is your tea.
we aren't sure / We are not sure.
my mum's ill / My mother is ill.
it won't hurt / It will not hurt.
she's kinda sad / She is rather sad.
gimme a minute / Give me a minute.
they'll come back / They will come back.
i couldn't hear you / I could not hear you.
what's wrong / What is wrong?
he's gonna be a doctor / He is going to be a doctor.
yeah, i know / Yes, I know.
nope, not today / No, not today.
the kids can't swim / The children cannot swim.
you don't need it / You do not need it.
we gotta talk / We have to talk.
it's my turn / It is my turn.
she didn't ask / She did not ask.
i've lost my bag / I have lost my bag.
that'll do / That will do.
they don't eat meat / They do not eat meat.
dad's in the garden / Father is in the garden.
he doesn't care / He does not care.
wanna play / Do you want to play?
thanks for coming / Thank you for coming.
i'm kinda hungry / I am rather hungry.
we shouldn't go / We should not go.
there's a letter / There is a letter.
you'll like her / You will like her.
how's your dad / How is your father?
the shop isn't open / The shop is not open.
i gotta work / I have to work.
she can't drive / She cannot drive.
they're my friends / They are my friends.
it hasn't changed / It has not changed.
lemme in / Let me in.
we're tired / We are tired.
he'll be fine / He will be fine.
yeah, it works / Yes, it works.
i wouldn't buy it / I would not buy it.
you weren't there / You were not there.
that's a nice hat / That is a nice hat.
they didn't laugh / They did not laugh.
she's gotta rest / She has to rest.
hi everyone / Good day, everyone.
i don't eat fish / I do not eat fish.
the train's late / The train is late.
we wanna help / We want to help.
it isn't far / It is not far.
he hasn't got time / He has not got time.
gimme your hand / Give me your hand.
you're too loud / You are too loud.
nope, it is blue / No, it is blue.
i'm not angry / I am not angry.
where's my coat / Where is my coat?
they're gonna move / They are going to move.
she won't listen / She will not listen.
we haven't met / We have not met.
dunno why / I do not know why.
the guys won / The men won.
it's kinda dark / It is rather dark.
i'll wash up / I will wash up.
you couldn't know / You could not know.
who's your boss / Who is your boss?
he can't cook / He cannot cook.
they wanna leave / They want to leave.
mum won't mind / Mother will not mind.
thanks for everything / Thank you for everything.
don't be afraid / Do not be afraid.
i've seen it / I have seen it.
we weren't asked / We were not asked.
that ain't mine / That is not mine.
she's a teacher / She is a teacher.
you gotta wait / You have to wait.
it wasn't cheap / It was not cheap.
the kids love it / The children love it.
he's gonna call / He is going to call.
there isn't any milk / There is not any milk.
yeah, we can / Yes, we can.
i shouldn't say it / I should not say it.
they haven't eaten / They have not eaten.
what's her name / What is her name?
we'd like a table / We would like a table.
you aren't old / You are not old.
my dad's a baker / My father is a baker.
she doesn't sing / She does not sing.
lemme see / Let me see.
i can't find it / I cannot find it.
`
