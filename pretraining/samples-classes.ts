/** The sample tasks of sorting texts into classes, with labels of our own. Written by samples.ts. */
import { DEFINITIONS } from './sample-texts/definitions'
import { INTENTS } from './sample-texts/intents'
import { OPINIONS } from './sample-texts/opinions'
import { MESSAGES } from './sample-texts/spam'
import { on } from './sample-task'
import { labelled, type Sample } from './sample-tools'

/** As many solved examples as give every label a chance to be seen. */
const SHOTS_FOR_MANY_LABELS = 8

export const CLASSES: readonly Sample[] = [
  on('causal', {
    name: 'opinions',
    title: 'Recommend or avoid?',
    explanation:
      'Opinions on films, meals, rooms and things, in everyday words, under labels of our own: "recommend" and "avoid". The model never saw these labels used so, and no sentence here is another with a word changed. Expect the tuned prompt to answer with one of the two labels every time, and to be right well above half of the time.',
    num_epochs: 25,
    instruction: 'Would you recommend it? Answer recommend or avoid.',
    rows: labelled(OPINIONS),
    seed: 11,
  }),
  on('causal', {
    name: 'topics',
    title: 'Which room?',
    explanation:
      'Definitions from the WordNet dictionary, to be put in one of six rooms: animals in the zoo, plants in the garden, food in the kitchen, people, feelings (heart) and time (clock). Expect most held-out definitions in the right room; with words alone the model does not even know the rooms. (WordNet 3.0, Copyright 2006 by Princeton University.)',
    num_epochs: 20,
    instruction: 'Topic: zoo, garden, kitchen, people, heart or clock?',
    few_shot_examples: SHOTS_FOR_MANY_LABELS,
    rows: labelled(DEFINITIONS),
    seed: 13,
  }),
  on('seq2seq', {
    name: 'spam',
    title: 'Spam or fine?',
    explanation:
      'Short messages, spam or fine, all written for this page. The model was never told what spam is; the prompt finds out from 90 messages. Expect it to catch the loud ones ("free", "click", "win") and to miss some quiet ones.',
    num_epochs: 30,
    instruction: 'Is the message spam or fine?',
    rows: labelled(MESSAGES),
    seed: 12,
  }),
  on('seq2seq', {
    name: 'intents',
    title: 'What should the assistant do?',
    explanation:
      'Sentences for a voice assistant, sorted by what it has to do: alarm, music, weather or phone. The model was never told of any of them, and eight solved examples in front do not help it. Expect the prompt to get far more of the held-out ones right than the one in four of guessing; a larger model would get nearly all.',
    num_epochs: 25,
    instruction: 'Alarm, music, weather or phone?',
    few_shot_examples: SHOTS_FOR_MANY_LABELS,
    from_labels: true,
    rows: labelled(INTENTS),
    seed: 31,
  }),
]
