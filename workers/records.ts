/** The worker that reads one file of examples, so that a long one doesn't hold the page up. Nothing is decided here. */
import { answerRequest } from '../src/job/records-reading'

self.onmessage = (message: MessageEvent<unknown>) => void answerRequest(message.data, (report) => self.postMessage(report))
