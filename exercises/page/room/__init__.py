"""The teacher's room: who is at which step, what fails most often, who asks for help. It sees no code of a learner."""
