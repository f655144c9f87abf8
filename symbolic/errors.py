"""The errors a person meets: what was wrong, where (file, line, key), what to do."""


class UserError(Exception):
    """Something in the user's input or machine that they can mend; the verb prints it and exits with `status`."""

    status = 1


class UsageError(UserError):
    """A command or configuration that asks for something that does not exist."""

    status = 2
