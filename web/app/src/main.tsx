import { render } from 'preact'
import { App } from './ui/App'
import { start } from './chat/app-state'
import './styles/base.css'
import './styles/layout.css'
import './styles/sidebar.css'
import './styles/thread.css'
import './styles/prose.css'
import './styles/tools.css'
import './styles/ask.css'
import './styles/composer.css'
import './styles/source.css'

start()
render(<App />, document.getElementById('app')!)
