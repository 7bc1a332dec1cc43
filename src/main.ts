/** Starts the page. What it shows is in src/ui; what it asks of the tuning worker is in src/protocol.ts. */
import { mount } from 'svelte'
import { ensureIsolation } from './isolation'
import App from './ui/App.svelte'
import './ui/styles/tokens.css'
import './ui/styles/base.css'
import './ui/styles/controls.css'

const target = document.getElementById('app')
if (!target) throw new Error('index.html has no #app')
if (!(await ensureIsolation())) mount(App, { target })
