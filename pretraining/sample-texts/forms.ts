/** Verbs with their -ing form, adjectives with comparative and superlative, verbs with the one who does it (see ../samples.ts). Written for this project. */

/** verb/-ing form. */
export const ING = `
walk/walking, talk/talking, play/playing, jump/jumping, help/helping, ask/asking, call/calling, cook/cooking, clean/cleaning, open/opening,
laugh/laughing, climb/climbing, want/wanting, need/needing, start/starting, count/counting, wait/waiting, visit/visiting, paint/painting, point/pointing,
watch/watching, wash/washing, push/pushing, pass/passing, miss/missing, fix/fixing, reach/reaching, touch/touching, finish/finishing, wish/wishing,
look/looking, work/working, pull/pulling, fill/filling, show/showing, follow/following, allow/allowing, enter/entering, answer/answering, offer/offering,
gather/gathering, explain/explaining, rain/raining, listen/listening, learn/learning, happen/happening, remember/remembering, remain/remaining, carry/carrying, cry/crying,
try/trying, study/studying, hurry/hurrying, copy/copying, worry/worrying, stay/staying, enjoy/enjoying, destroy/destroying, pray/praying, fly/flying,
go/going, see/seeing, be/being, do/doing, eat/eating, drink/drinking, sing/singing, think/thinking, bring/bringing, buy/buying,
catch/catching, teach/teaching, feel/feeling, keep/keeping, sleep/sleeping, meet/meeting, read/reading, lead/leading, hold/holding, find/finding,
stand/standing, send/sending, spend/spending, build/building, sell/selling, tell/telling, speak/speaking, break/breaking, wear/wearing, grow/growing,
know/knowing, throw/throwing, draw/drawing, fall/falling, fight/fighting, hear/hearing, pay/paying, say/saying, burn/burning, turn/turning,
close/closing, smile/smiling, move/moving, live/living, love/loving, like/liking, hope/hoping, dance/dancing, change/changing, arrive/arriving,
bake/baking, share/sharing, use/using, save/saving, vote/voting, hate/hating, taste/tasting, wave/waving, believe/believing, receive/receiving,
decide/deciding, divide/dividing, produce/producing, create/creating, imagine/imagining, measure/measuring, examine/examining, write/writing, ride/riding, drive/driving,
make/making, take/taking, give/giving, come/coming, have/having, leave/leaving, lose/losing, choose/choosing, hide/hiding, shake/shaking,
run/running, stop/stopping, sit/sitting, swim/swimming, cut/cutting, put/putting, get/getting, hit/hitting, win/winning, begin/beginning,
plan/planning, drop/dropping, shop/shopping, dig/digging, rub/rubbing, hug/hugging, beg/begging, clap/clapping, trip/tripping, forget/forgetting,
lie/lying, die/dying, tie/tying
`

/** adjective/comparative/superlative. */
export const DEGREES = `
cold/colder/coldest, warm/warmer/warmest, old/older/oldest, young/younger/youngest, long/longer/longest, short/shorter/shortest, tall/taller/tallest, small/smaller/smallest,
fast/faster/fastest, slow/slower/slowest, quick/quicker/quickest, hard/harder/hardest, soft/softer/softest, loud/louder/loudest, high/higher/highest, low/lower/lowest,
deep/deeper/deepest, dark/darker/darkest, light/lighter/lightest, bright/brighter/brightest, strong/stronger/strongest, weak/weaker/weakest, rich/richer/richest, poor/poorer/poorest,
clean/cleaner/cleanest, clear/clearer/clearest, cheap/cheaper/cheapest, near/nearer/nearest, new/newer/newest, kind/kinder/kindest, proud/prouder/proudest, sharp/sharper/sharpest,
smart/smarter/smartest, smooth/smoother/smoothest, sweet/sweeter/sweetest, thick/thicker/thickest, tight/tighter/tightest, tough/tougher/toughest, wild/wilder/wildest, mild/milder/mildest,
great/greater/greatest, green/greener/greenest, black/blacker/blackest, broad/broader/broadest, calm/calmer/calmest, cool/cooler/coolest, dear/dearer/dearest, fair/fairer/fairest,
firm/firmer/firmest, fresh/fresher/freshest, full/fuller/fullest, grand/grander/grandest, neat/neater/neatest, plain/plainer/plainest, quiet/quieter/quietest, rough/rougher/roughest,
round/rounder/roundest, sick/sicker/sickest, steep/steeper/steepest, straight/straighter/straightest, dull/duller/dullest, harsh/harsher/harshest, bold/bolder/boldest,
large/larger/largest, nice/nicer/nicest, wide/wider/widest, late/later/latest, safe/safer/safest, brave/braver/bravest, close/closer/closest, fine/finer/finest,
loose/looser/loosest, pale/paler/palest, rare/rarer/rarest, ripe/riper/ripest, rude/ruder/rudest, simple/simpler/simplest, strange/stranger/strangest, true/truer/truest,
wise/wiser/wisest, gentle/gentler/gentlest, humble/humbler/humblest, noble/nobler/noblest, pure/purer/purest, cute/cuter/cutest, white/whiter/whitest, tame/tamer/tamest,
happy/happier/happiest, easy/easier/easiest, early/earlier/earliest, heavy/heavier/heaviest, busy/busier/busiest, funny/funnier/funniest, dirty/dirtier/dirtiest, angry/angrier/angriest,
lucky/luckier/luckiest, pretty/prettier/prettiest, hungry/hungrier/hungriest, lazy/lazier/laziest, noisy/noisier/noisiest, dry/drier/driest, empty/emptier/emptiest, healthy/healthier/healthiest,
lovely/lovelier/loveliest, windy/windier/windiest, cloudy/cloudier/cloudiest, sunny/sunnier/sunniest, tiny/tinier/tiniest, ugly/uglier/ugliest, wealthy/wealthier/wealthiest, crazy/crazier/craziest,
dusty/dustier/dustiest, sleepy/sleepier/sleepiest, friendly/friendlier/friendliest, silly/sillier/silliest, rainy/rainier/rainiest, salty/saltier/saltiest, tidy/tidier/tidiest, steady/steadier/steadiest,
big/bigger/biggest, hot/hotter/hottest, fat/fatter/fattest, thin/thinner/thinnest, wet/wetter/wettest, sad/sadder/saddest, red/redder/reddest, flat/flatter/flattest,
fit/fitter/fittest, slim/slimmer/slimmest, dim/dimmer/dimmest, mad/madder/maddest
`

/** verb/the one who does it. */
export const DOERS = `
teach/teacher, work/worker, sing/singer, play/player, farm/farmer, paint/painter, read/reader, lead/leader, speak/speaker, listen/listener,
think/thinker, help/helper, build/builder, fight/fighter, hunt/hunter, walk/walker, jump/jumper, climb/climber, clean/cleaner, sleep/sleeper,
dream/dreamer, print/printer, fish/fisher, catch/catcher, watch/watcher, preach/preacher, keep/keeper, own/owner, sell/seller, buy/buyer,
hear/hearer, lend/lender, send/sender, learn/learner, train/trainer, report/reporter, publish/publisher, hold/holder, find/finder,
write/writer, drive/driver, dance/dancer, bake/baker, make/maker, ride/rider, smoke/smoker, rule/ruler, believe/believer, love/lover,
produce/producer, manage/manager, advise/adviser, explore/explorer, use/user, give/giver, take/taker, dive/diver, shave/shaver, trade/trader,
run/runner, swim/swimmer, win/winner, begin/beginner, rob/robber, plan/planner, shop/shopper, jog/jogger, drum/drummer, spin/spinner
`
