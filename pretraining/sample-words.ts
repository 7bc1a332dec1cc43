/** The words and sentence patterns the sample tasks are made of (see samples.ts). Written for this project. */

/** verb/past tense. No verb whose past doubles a consonant or has two accepted forms. */
export const VERBS = `
walk/walked, talk/talked, play/played, jump/jumped, help/helped, ask/asked, call/called, cook/cooked, clean/cleaned, open/opened,
close/closed, laugh/laughed, smile/smiled, move/moved, live/lived, love/loved, like/liked, hope/hoped, dance/danced, change/changed,
arrive/arrived, bake/baked, share/shared, store/stored, use/used, save/saved, vote/voted, hate/hated, taste/tasted, wave/waved,
carry/carried, cry/cried, try/tried, study/studied, hurry/hurried, marry/married, copy/copied, worry/worried, reply/replied, bury/buried,
stay/stayed, enjoy/enjoyed, obey/obeyed, delay/delayed, destroy/destroyed, employ/employed, pray/prayed, survey/surveyed, annoy/annoyed, decay/decayed,
want/wanted, need/needed, start/started, count/counted, wait/waited, visit/visited, paint/painted, point/pointed, land/landed, add/added,
watch/watched, wash/washed, push/pushed, pass/passed, miss/missed, fix/fixed, reach/reached, touch/touched, finish/finished, wish/wished,
look/looked, work/worked, climb/climbed, pull/pulled, fill/filled, kill/killed, show/showed, follow/followed, allow/allowed, enter/entered,
answer/answered, remember/remembered, offer/offered, gather/gathered, explain/explained, rain/rained, remain/remained, listen/listened, happen/happened, learn/learned,
believe/believed, receive/received, decide/decided, divide/divided, produce/produced, reduce/reduced, create/created, imagine/imagined, measure/measured, examine/examined,
go/went, come/came, see/saw, give/gave, take/took, make/made, find/found, think/thought, know/knew, tell/told,
become/became, leave/left, feel/felt, bring/brought, begin/began, keep/kept, hold/held, write/wrote, stand/stood, hear/heard,
mean/meant, meet/met, run/ran, pay/paid, sit/sat, speak/spoke, grow/grew, lose/lost, fall/fell, send/sent,
build/built, draw/drew, break/broke, spend/spent, rise/rose, drive/drove, buy/bought, wear/wore, choose/chose, eat/ate,
sing/sang, swim/swam, drink/drank, ring/rang, win/won, sell/sold, teach/taught, catch/caught, fight/fought, sleep/slept
`

/** noun/plural. */
export const NOUNS = `
cat/cats, dog/dogs, book/books, car/cars, tree/trees, house/houses, table/tables, chair/chairs, door/doors, window/windows,
river/rivers, road/roads, street/streets, school/schools, teacher/teachers, student/students, doctor/doctors, farmer/farmers, king/kings, queen/queens,
apple/apples, orange/oranges, horse/horses, cow/cows, bird/birds, flower/flowers, garden/gardens, hand/hands, finger/fingers, arm/arms,
letter/letters, number/numbers, picture/pictures, pencil/pencils, paper/papers, machine/machines, engine/engines, bridge/bridges, village/villages, judge/judges,
box/boxes, fox/foxes, bus/buses, glass/glasses, class/classes, dress/dresses, kiss/kisses, boss/bosses, loss/losses, cross/crosses,
church/churches, watch/watches, match/matches, beach/beaches, branch/branches, lunch/lunches, coach/coaches, witch/witches, peach/peaches, bench/benches,
dish/dishes, brush/brushes, wish/wishes, bush/bushes, tax/taxes, fax/faxes, mix/mixes, prefix/prefixes, suffix/suffixes, crash/crashes,
baby/babies, city/cities, lady/ladies, story/stories, party/parties, country/countries, family/families, army/armies, body/bodies, copy/copies,
fly/flies, berry/berries, cherry/cherries, enemy/enemies, factory/factories, memory/memories, penny/pennies, pony/ponies, puppy/puppies, duty/duties,
day/days, boy/boys, key/keys, toy/toys, monkey/monkeys, valley/valleys, tray/trays, way/ways, essay/essays, donkey/donkeys,
man/men, woman/women, child/children, foot/feet, tooth/teeth, goose/geese, mouse/mice, ox/oxen, policeman/policemen, fireman/firemen,
knife/knives, wife/wives, life/lives, leaf/leaves, wolf/wolves, shelf/shelves, half/halves, loaf/loaves, thief/thieves, calf/calves,
roof/roofs, chief/chiefs, belief/beliefs, cliff/cliffs, island/islands, mountain/mountains, ocean/oceans, planet/planets, star/stars, cloud/clouds,
shirt/shirts, button/buttons, jacket/jackets, pocket/pockets, basket/baskets, bottle/bottles, candle/candles, mirror/mirrors, carpet/carpets, pillow/pillows,
neighbor/neighbors, brother/brothers, sister/sisters, uncle/uncles, cousin/cousins, friend/friends, player/players, singer/singers, painter/painters, writer/writers
`

/** Common words of three to eight letters, for the letter tasks. */
export const WORDS = `
cat dog sun map pen cup hat bed box key arm leg eye ear sea sky ice oil war law
tree book hand road door wall fish bird ship song name game home work time year week hour moon star
rain snow wind fire sand rock lake hill farm wood milk salt rice meat cake wine gold iron rope ring
green white black brown small large young happy quiet quick sharp sweet clean empty heavy light early right wrong ready
house table chair river bread apple water paper music plant horse sheep mouse stone cloud beach field train clock knife
garden window bridge summer winter spring autumn doctor farmer sister brother mother father friend school market street church island forest
animal butter cheese coffee dinner finger ground letter minute number orange pencil person planet pocket purple random second silver spirit
story glass price voice money night north south heart metal
`

/** Adjectives, things and patterns for the sentiment task. {a} and {b} are two different adjectives, {an a} one with its article. */
export const SENTIMENT = {
  things:
    'movie film book meal song story show hotel service phone play game plot acting music restaurant ending cast script room'.split(
      ' ',
    ),
  positive: {
    adjectives:
      'good great excellent wonderful superb delightful amazing brilliant lovely fantastic charming enjoyable perfect beautiful fun moving clever touching impressive'.split(
        ' ',
      ),
    patterns: [
      'the {thing} was {a}',
      'this {thing} is really {a}',
      'we found the {thing} {a} and {b}',
      'i loved the {thing}',
      'i loved the {thing} , it was {a}',
      'the {thing} was {a} and the {other} was {b}',
      'a {thing} with {an a} {other}',
      'what {an a} {thing} , and the {other} is {b} too',
      'i would recommend this {thing} to everyone',
      'the {other} is {a} , i would recommend this {thing}',
      'such {an a} {thing}',
      'not only {a} but also {b} , this {thing} works',
      'my friends loved this {a} {thing}',
    ],
  },
  negative: {
    adjectives:
      'bad awful terrible boring dull poor horrible dreadful weak stupid disappointing ugly tedious annoying lifeless sloppy clumsy bland painful'.split(
        ' ',
      ),
    patterns: [
      'the {thing} was {a}',
      'this {thing} is really {a}',
      'we found the {thing} {a} and {b}',
      'i hated the {thing}',
      'i hated the {thing} , it was {a}',
      'the {thing} was {a} and the {other} was {b}',
      'a {thing} with {an a} {other}',
      'what {an a} {thing} , and the {other} is {b} too',
      'i would not recommend this {thing} to anyone',
      'the {other} is {a} , i would not recommend this {thing}',
      'such {an a} {thing}',
      'not only {a} but also {b} , this {thing} fails',
      'my friends hated this {a} {thing}',
    ],
  },
} as const

/** First names, towns and countries of one word, in small letters. */
export const NAMES = `
anna peter maria thomas laura martin helen simon alice robert paul susan david emma george julia henry clara oscar nina
frank rosa victor ella daniel sarah adam lucy max jane london paris berlin madrid rome vienna prague lisbon dublin oslo
athens cairo tokyo delhi lima moscow warsaw boston chicago texas africa europe asia india china france spain germany england scotland
`
