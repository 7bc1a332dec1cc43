"""Families on short sentences: take a part out, change the sentence, sort it into a class. Knows sentences with known parts; knows nothing of documents.

Held out on purpose, for the sample tasks (README.md): the weekday, the time and the amount of money in a message; formal for informal; the
intent of a command; spam; opinions under other labels than positive and negative; the topic of a sentence.
"""
import re

from family import Maker, constant, with_choice
from lexicon import Pick
from phrases import Phrases

GOOD = ("good great excellent wonderful superb delightful amazing brilliant lovely fantastic charming enjoyable perfect beautiful fun moving clever "
        "touching impressive tasty friendly comfortable clean fresh helpful").split()
BAD = ("bad awful terrible boring dull poor horrible dreadful weak stupid disappointing ugly tedious annoying lifeless sloppy clumsy bland painful dirty "
       "rude noisy broken stale useless").split()
THINGS = "movie film book meal song story show hotel service phone play game plot acting music restaurant ending cast script room soup staff camera trip lesson".split()
FEELINGS = {
    "happy": "smiled|laughed|danced for joy|is so glad|was very pleased|cheered|hugged everyone|is full of joy|sang with delight|won the prize and jumped",
    "sad": "cried|wept all night|misses home|lost an old friend|sighed|was in tears|felt lonely|mourned|is so unhappy|hung the head",
    "angry": "shouted|slammed the door|was furious|yelled at the driver|kicked the wall|is mad at us|broke a plate in rage|argued|cursed|scowled",
    "afraid": "trembled|hid under the bed|screamed in fear|ran away|is scared of the dark|was terrified|shook with fright|dared not look|fled|turned pale",
    "tired": "yawned|fell asleep|needs a rest|could not stay awake|is worn out|went to bed early|slept all day|nodded off|was exhausted|dozed",
}
REQUESTS = "Close the {furniture}.|Give me the {tool}.|Bring {number} {fruit}s.|Come to {city}.|Wash the {clothes}.|Look at the {animal}!|Wait for {name}.|Put on your {clothes}.|Read this page.|Sit down."
PLAIN_ENDS = ".!?"


def sentence_families(pick: Pick, phrases: Phrases, prose: dict[str, list[str]], authors: dict[str, list[str]]) -> list[Maker]:
    """prose: kind of document -> sentences; authors: novelist -> sentences."""
    rng = pick.rng
    tense_of = lambda: rng.choice(["past", "present", "future"])
    ends = lambda text: text + "."

    def part(*needed, of=None):
        """The sentence and one of its parts."""
        def draw():
            found = phrases.sentence(*needed)
            return ends(found.text(tense_of())), getattr(found, of or needed[0])
        return draw

    def change(before, after, *needed):
        def draw():
            found = phrases.sentence(*needed)
            return before(found), after(found)
        return draw

    def any_sentence() -> str:
        if rng.random() < 0.4:
            return rng.choice(prose[rng.choice(list(prose))])
        return ends(phrases.sentence().text(tense_of()))

    def of_sentence(answer):
        return lambda: (lambda text: (text, answer(text)))(any_sentence())

    def short_sentence(answer):
        return lambda: (lambda text: (text, answer(text)))(ends(phrases.sentence().text(tense_of())))

    bare = lambda text: re.sub(r"[^\w\s'-]", "", text)
    words = lambda text: bare(text).split()

    def tense_class():
        tense = tense_of()
        return ends(phrases.sentence().text(tense)), tense

    def opinion():
        good = rng.random() < 0.5
        found = GOOD if good else BAD
        a, b, thing, other, name = rng.choice(found), rng.choice(found), rng.choice(THINGS), rng.choice(THINGS), phrases.person()
        text = rng.choice([
            f"The {thing} was {a}.", f"What a {a} {thing}!", f"I thought the {thing} was {a} and {b}.", f"This {thing} is really {a}.",
            f"A {a} {thing} with a {b} {other}.", f"I {'loved' if good else 'hated'} the {thing}.", f"{name} {'enjoyed' if good else 'disliked'} the {thing}.",
            f"The {other} is {a}, and the {thing} {'works' if good else 'fails'}.", f"{name} said the {thing} was {a}.",
            f"{'Always' if good else 'Never'} {a if good else 'again'}, this {thing} is {b}.", f"We had a {a} time at the {other}.",
            f"My {thing} {'never lets me down' if good else 'stopped working'}, so {a}."])
        return (text if rng.random() < 0.6 else text.lower().rstrip(".")), "positive" if good else "negative"

    def feeling():
        kind = rng.choice(list(FEELINGS))
        return f"{phrases.person()} {rng.choice(FEELINGS[kind].split('|'))}{rng.choice(['', '', ' today', ' again', ' after the game', ' at school'])}.", kind

    def kind_of_sentence():
        kind = rng.choice(["question", "statement", "request"])
        if kind == "request":
            text = rng.choice(REQUESTS.split("|"))
            for slot in re.findall(r"{(\w+)}", text):
                text = text.replace(f"{{{slot}}}", phrases.person() if slot == "name" else phrases.word(slot))
        else:
            found, tense = phrases.sentence(), tense_of()
            text = found.asked(tense) if kind == "question" else ends(found.text(tense))
        return text.rstrip(PLAIN_ENDS) if rng.random() < 0.5 else text, kind

    def source_of(groups):
        def draw():
            kind = rng.choice(list(groups))
            return rng.choice(groups[kind]), kind
        return draw

    def mentions(kind):
        yes = rng.random() < 0.5
        found = phrases.sentence(kind if yes else rng.choice([other for other in ("animal", "food", "clothes", "vehicle", "tool", "building") if other != kind]))
        return ends(found.text(tense_of())), "yes" if yes else "no"

    def answered():
        found, tense = phrases.sentence("city", "single", "colour"), tense_of()
        question, answer = rng.choice([("Who?", found.name), ("Where?", found.city), ("What?", found.thing), ("Which colour?", found.colour)])
        return f"{ends(found.text(tense))} {question}", answer

    def true_or_false():
        found, yes = phrases.sentence("single", "colour", some=0.1), rng.random() < 0.5
        colour = found.colour if yes else rng.choice([c for c in phrases.words["colour"] if c != found.colour] or ["golden"])
        return f"{ends(found.text())} The {found.thing} is {colour}.", "true" if yes else "false"

    def quoted():
        word, name = rng.choice([phrases.word(kind) for kind in ("animal", "food", "tool", "city")]), phrases.person()
        return rng.choice([f'{name} said "{word}" and left.', f'The sign says "{word}".', f'They wrote "{word}" on the wall.', f'What does "{word}" mean?',
                           f'"{word}", answered {name}.']), word

    def titled():
        name, title = phrases.person(), rng.choice(["Mr", "Mrs", "Dr"])
        return rng.choice([f"{title} {name} is here.", f"Please ask {title} {name}.", f"A letter for {title} {name} came.", f"We met {title} {name} in {phrases.word('city')}."]), name

    def pronoun(found, swap=False):
        return ("She" if found.female != swap else "He") + found.text("past")[len(found.name):] + "."

    def joined():
        a, b = phrases.sentence(some=0.1), phrases.sentence(some=0.1)
        return f"{ends(a.text())} {ends(b.text())}", f"{a.text()} and {b.text()}."

    def blank():
        text = any_sentence()
        found = [word for word in words(text) if len(word) > 2] or words(text)
        word = rng.choice(found)
        return text.replace(word, "___", 1), word

    def several(found):
        return f"The {found.thing} is {found.colour}.", f"The {phrases_plural(found.thing)} are {found.colour}."

    from phrases import plural as phrases_plural
    takes = lambda what: f"Which {what} is mentioned?|Find the {what}.|Extract the {what}.|{what}:|Take out the {what}."
    kinds = ["animal", "food", "clothes", "vehicle", "tool", "building"]
    return [
        constant("find name", takes("name") + "|Who is it about?", part("name")),
        constant("find colour", takes("colour"), part("colour")),
        constant("find number", takes("number") + "|How many?", part("number")),
        constant("find city", takes("city") + "|Where does it happen?", part("city")),
        constant("find animal", takes("animal"), part("animal", of="thing")),
        constant("find thing", takes("thing"), part("single", of="thing")),
        with_choice("find a kind in a sentence", "Which {} is mentioned?|Find the {}.|Extract the {}.|{}:", lambda: rng.choice(kinds),
                    lambda kind: (lambda found: (ends(found.text(tense_of())), found.thing))(phrases.sentence(kind))),
        constant("quoted word", "What is quoted?|Take out the quoted word.|In quotes:|Between the quotation marks:", quoted),
        constant("name after title", "Name after Mr, Mrs or Dr:|What is the name?|Leave out the title.", titled),
        constant("first word", "First word of the sentence:|Which word is first?|The sentence begins with:", of_sentence(lambda text: words(text)[0])),
        constant("last word", "Last word of the sentence:|Which word is last?|The sentence ends with:", of_sentence(lambda text: words(text)[-1])),
        constant("words in sentence", "How many words are in the sentence?|Count the words.|Words:", short_sentence(lambda text: str(len(text.split())))),
        constant("longest word", "Word with most letters:|Which word has the most letters?", short_sentence(lambda text: max(words(text), key=len))),
        constant("answer", "Answer the question.|Read and answer.|Answer:|What is asked?", answered),
        constant("true or false", "True or false?|Is the second sentence true?|Check the claim.", true_or_false, ("true", "false")),
        with_choice("mentions a kind", "Is there a word for {} in it?|Does it mention {}?|{}, yes or no?", lambda: rng.choice(kinds), mentions, ("yes", "no")),
        constant("blank", "Fill in the blank.|Missing word:|What belongs in the gap?|Complete the sentence.", blank),
        constant("opinion", "Is it positive or negative?|Sentiment:|How does the writer feel?|Positive or negative review?|Opinion:", opinion, ("positive", "negative")),
        constant("feeling", "How does the person feel?|Feeling:|Name the emotion.|Mood:", feeling, tuple(FEELINGS)),
        constant("tense", "Which tense?|Past, present or future?|Tense:|When does it happen: past, present or future?", tense_class, ("past", "present", "future")),
        constant("kind of sentence", "Question, statement or request?|What kind of sentence is it?|Kind of sentence:", kind_of_sentence, ("question", "statement", "request")),
        constant("he or she", "Is it about a woman or a man?|Woman or man?|Who is it, a man or a woman?",
                 lambda: (lambda found: (ends(found.text(tense_of())), "woman" if found.female else "man"))(phrases.sentence()), ("woman", "man")),
        constant("kind of document", "Where is the sentence from?|Novel, speech, manual or dictionary?|Kind of document:|Source:", source_of(prose), tuple(prose)),
        constant("author", "Austen or Melville?|Who wrote it?|Author:", source_of(authors), tuple(authors)),
        constant("start large and stop", "Write it as a sentence.|Capital letter and full stop:|Begin large and end with a full stop.",
                 lambda: (lambda text: ((text[0].lower() + text[1:]).rstrip("."), text))(ends(phrases.sentence().text(tense_of())))),
        constant("no punctuation", "Remove the punctuation.|Without punctuation:|Drop commas and full stops.", of_sentence(bare)),
        constant("lower sentence", "Write the sentence in lower case.|No capitals:|All small letters:", short_sentence(str.lower)),
        constant("upper sentence", "Write the sentence in capitals.|Shout it.|All capitals:", short_sentence(str.upper)),
        constant("pronoun", "Use he or she for the name.|Replace the name by a pronoun.|With a pronoun:", change(lambda s: ends(s.text()), pronoun)),
        constant("swap he and she", "Swap he and she.|Change the gender.|Make he she and she he.", change(pronoun, lambda s: pronoun(s, True))),
        constant("hide name", "Replace the name by someone.|Make it anonymous.|Hide the name.", change(lambda s: ends(s.text()), lambda s: "Someone" + ends(s.text())[len(s.name):])),
        constant("to past", "Put the sentence in the past.|Past tense:|It happened before:", change(lambda s: ends(s.text("present")), lambda s: ends(s.text("past")))),
        constant("to present", "Put the sentence in the present.|Present tense:|It happens now:", change(lambda s: ends(s.text("past")), lambda s: ends(s.text("present")))),
        constant("to future", "Put the sentence in the future.|Future:|Use will.", change(lambda s: ends(s.text("past")), lambda s: ends(s.text("future")))),
        constant("negate", "Negate the sentence.|Say that it is not so.|Negative:|Make it negative.", change(lambda s: ends(s.text("present")), lambda s: ends(s.negated("present")))),
        constant("negate past", "Negate the sentence about the past.|It did not happen.|Use did not.", change(lambda s: ends(s.text("past")), lambda s: ends(s.negated("past")))),
        constant("ask", "Make it a question.|Question:|Ask about it.|Turn the statement into a question.", change(lambda s: ends(s.text("past")), lambda s: s.asked("past"))),
        constant("tell", "Make it a statement.|Statement:|Turn the question into a statement.", change(lambda s: s.asked("past"), lambda s: ends(s.text("past")))),
        constant("passive", "Put it in the passive.|Passive:|Begin with the thing.", change(lambda s: ends(s.text("past")), lambda s: ends(s.passive()), "single")),
        constant("make several", "Make it plural.|Several of them:|Say it of many.", change(lambda s: several(s)[0], lambda s: several(s)[1], "single", "colour")),
        constant("join sentences", "Join the sentences with and.|Make one sentence of two.|Connect them.", joined),
        constant("swap sides", "Swap the two.|Turn it round.|The other way round:",
                 lambda: (lambda a, b: (f"{a} and {b}", f"{b} and {a}"))(*(phrases.word(rng.choice(["animal", "food", "tool", "job"])) for _ in range(2)))),
    ]
