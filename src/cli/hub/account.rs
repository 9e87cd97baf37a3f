//! `hub login`, `hub logout`: the token is read without showing it and goes to the keyring.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use protocol::{Event, HubAccount, HubCommand, HubEvent, Result, Secret, Text, TokenPlace, UserError, text};

use super::Reach;
use crate::cli::client::{Client, View};
use crate::cli::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    reach: Reach,
}

pub fn login(flags: &Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let token = read(screen)?;
    let command = HubCommand::Login { hub: flags.reach.hub.clone(), token, keep: true };
    let mut shown = Shown { lost: false };
    let code = flags.reach.request(command, &mut shown, (client, screen))?;
    // A token that ends with this process serves nobody.
    Ok(if shown.lost { 1 } else { code })
}

pub fn logout(flags: &Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let command = HubCommand::Logout { hub: flags.reach.hub.clone() };
    flags.reach.request(command, &mut Shown { lost: false }, (client, screen))
}

/// From a person without an echo, or a line of what is piped in: never from an argument, which others can see.
fn read(screen: &mut Screen) -> Result<Secret> {
    let line = if io::stdin().is_terminal() {
        screen.tell(&Text::fixed("Token (it is not shown):", "令牌（不会显示）："));
        console::Term::stderr().read_secure_line()
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    let token = line
        .map(Secret::new)
        .map_err(|err| UserError::bad_input(text!("No token could be read: {err}", "无法读取令牌：{err}")))?;
    if token.is_empty() {
        return Err(UserError::bad_input(Text::fixed("No token was entered", "没有输入令牌")));
    }
    Ok(token)
}

struct Shown {
    /// No keyring took the token.
    lost: bool,
}

impl View for Shown {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Hub { update: HubEvent::Account { account }, .. } = event {
            self.note(account);
            told(account).iter().for_each(|line| screen.tell(line));
        }
    }

    fn print(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Hub { update: HubEvent::Account { account }, .. } = event {
            self.note(account);
        }
        screen.json(event);
    }
}

impl Shown {
    fn note(&mut self, account: &HubAccount) {
        self.lost = account.token == TokenPlace::Memory;
    }
}

fn told(account: &HubAccount) -> Vec<Text> {
    let endpoint = &account.endpoint;
    let first = match (&account.user, account.token) {
        (Some(user), TokenPlace::Keyring) => text!(
            "Logged in to {endpoint} as {user}; the token is in the keyring",
            "已以 {user} 登录 {endpoint}；令牌保存在密钥环中"
        ),
        (Some(user), _) => text!(
            "The token is {user}'s, but it could not be kept: set HF_TOKEN for this terminal instead",
            "令牌属于 {user}，但无法保存：请改为在终端中设置 HF_TOKEN"
        ),
        (None, TokenPlace::None) => text!("Logged out of {endpoint}", "已退出 {endpoint}"),
        (None, _) => text!("There is still a token for {endpoint}", "{endpoint} 仍有令牌"),
    };
    std::iter::once(first).chain(account.note.clone()).collect()
}
