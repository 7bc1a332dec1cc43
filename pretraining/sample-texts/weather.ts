/** Weather data and the sentence a forecaster makes of it, always in the same style (see ../samples.ts). Written for this project. */
import { pick, randomFrom, type Pairs } from '../sample-tools'

const SKIES = 'rain snow fog sunshine clouds hail thunder drizzle showers storms sleet frost'.split(' ')
const WINDS = 'north south east west north-east north-west south-east south-west'.split(' ')

/** Different combinations of sky, degrees and wind; snow and the like only where it is cold. */
export function weather(rows: number): Pairs {
  const random = randomFrom(17)
  const made = new Map<string, string>()
  while (made.size < rows) {
    const sky = pick(SKIES, random)
    const wind = pick(WINDS, random)
    const [low, high] = ['snow', 'sleet', 'frost', 'hail'].includes(sky) ? [0, 8] : [3, 35]
    const degrees = low + Math.floor(random() * (high - low + 1))
    const feel = degrees < 10 ? 'Cold' : degrees < 20 ? 'Mild' : 'Warm'
    made.set(`${sky}, ${degrees}, ${wind}`, `${feel} with ${sky}, ${degrees} degrees, wind from the ${wind}.`)
  }
  return [...made]
}
